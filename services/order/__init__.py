"""Order: accepts orders, and decides how each one ends by what payment and inventory report."""
