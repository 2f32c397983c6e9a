"""The messages of the library's own tests: parcels, and the couriers who are booked for them."""
