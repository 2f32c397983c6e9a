"""A small service for the tests of the library: parcels, and messages about the couriers who fetch them."""
