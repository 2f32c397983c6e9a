"""Payment: charges an order once, and refunds it once if the order fails or is cancelled."""
