"""How orders are listed: newest first, chosen by customer, status and payment."""

from __future__ import annotations

from eventbus import Listing, Row
from services.order.state import Order, Payment, Status


def _row(order: Order) -> Row | None:
    """NEW is no order: a refused cancellation of an unknown id has a state too."""
    if order.status is Status.NEW:
        return None
    return Row(order.created_at, (order.user_id, order.status.value, order.payment.value))


ORDERS: Listing[Order] = Listing(
    table="order_list",
    columns={
        "user_id": (),
        "status": [status.value for status in Status if status is not Status.NEW],
        "payment": [payment.value for payment in Payment],
    },
    row=_row,
)
