"""Inventory: holds all products of an order or none of them, and never promises what is not on the shelf."""
