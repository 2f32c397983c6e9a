"""Messages the integration tests send."""

from __future__ import annotations

import uuid

from schemas import CreateOrder, Item, OrderCreated, OrderFailed

PRICE = 250


def order_ids(count: int) -> list[str]:
    """That many ids nobody has used."""
    return [str(uuid.uuid4()) for _ in range(count)]


def create(order_id: str, *, quantity: int = 2, product: str = "cup") -> CreateOrder:
    """A command that orders some pieces of one product."""
    return CreateOrder(
        order_id=order_id,
        user_id="anne",
        items=(Item(product_id=product, quantity=quantity, unit_price=PRICE),),
        currency="GBP",
    )


def created(order_id: str, *, payment_method: str = "tok_ok", quantity: int = 2) -> OrderCreated:
    """What the order service says of it."""
    return OrderCreated(
        order_id=order_id,
        user_id="anne",
        product_id="cup",
        quantity=quantity,
        items=(Item(product_id="cup", quantity=quantity, unit_price=PRICE),),
        currency="GBP",
        total_amount=quantity * PRICE,
        payment_method=payment_method,
    )


def failed(order_id: str) -> OrderFailed:
    """The end of an order that is to be paid back."""
    return OrderFailed(order_id=order_id, user_id="anne", stage="INVENTORY", reason="Insufficient inventory")
