"""Notification: sends the customer one message for each important step of an order."""
