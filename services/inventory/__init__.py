"""Inventory: reserves all products of an order or none of them, and never more than is in stock."""
