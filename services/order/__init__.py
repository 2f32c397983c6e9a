"""Order: accepts orders, and says how each one ends from what payment and inventory report."""
