"""Notification: tells the customer at each step of an order that matters, once."""
