"""A typed client of the order API: retries that are safe, streams that resume, lists without pages."""

from orders_client.batches import BatchAnswer
from orders_client.client import Client, Orders, Payments, Stock
from orders_client.errors import NoAnswer, OrdersError, ProblemAnswer
from orders_client.streams import StreamEvent

__all__ = [
    "BatchAnswer",
    "Client",
    "NoAnswer",
    "Orders",
    "OrdersError",
    "Payments",
    "ProblemAnswer",
    "Stock",
    "StreamEvent",
]
