"""Payment: takes the money for an order once, and gives it back once if the order comes to nothing."""
