"""The commands that customers and clerks send in a simulation."""

from __future__ import annotations

from random import Random

from eventbus import Message
from schemas import AdjustStock, CancelOrder, CompleteOrder, Contact, CreateOrder, Item
from verification.sim.clock import START

PRODUCTS = ("cup", "pot")


METHODS = ("tok_ok",) * 6 + ("tok_declined", "tok_flaky", "tok_unavailable")


def draw_commands(dice: Random, orders: list[str]) -> list[tuple[int, Message]]:
    commands: list[tuple[int, Message]] = [
        (
            dice.randint(0, 300),
            AdjustStock(product_id=p, quantity=dice.randint(1, 8), reason="at first", adjustment_id="first"),
        )
        for p in PRODUCTS
    ]
    for order in orders:
        begun = dice.randint(0, 6_000)
        created = draw_order(dice, order, START + begun)
        commands.append((begun, created))
        # Most later commands come soon, or when the order has settled.
        while dice.random() < 0.45:
            at = begun + dice.choice((dice.randint(0, 300), dice.randint(300, 12_000)))
            cancel, complete = CancelOrder(order_id=order), CompleteOrder(order_id=order)
            commands.append((at, dice.choice((cancel, cancel, complete, complete, created))))
    while dice.random() < 0.3:
        quantity, name = dice.randint(-3, 3), dice.choice((None, "first", "second"))
        adjust = AdjustStock(
            product_id=dice.choice(PRODUCTS), quantity=quantity, reason="count", adjustment_id=name
        )
        commands.append((dice.randint(0, 12_000), adjust))
    return commands


def draw_repeated_commands(dice: Random, order: str) -> list[tuple[int, Message]]:
    """Somebody repeats a command more often than the order's log records repeats."""
    if dice.random() > 0.04:
        return []
    command = dice.choice((CancelOrder(order_id=order), CompleteOrder(order_id=order)))
    begun = dice.randint(0, 8_000)
    return [(begun + dice.randint(0, 3_000), command) for _ in range(dice.randint(20, 40))]


def draw_order(dice: Random, order: str, at: int) -> CreateOrder:
    items = tuple(
        Item(product_id=dice.choice(PRODUCTS), quantity=dice.randint(1, 3), unit_price=dice.choice((0, 5, 7)))
        for _ in range(dice.choice((1, 1, 2, 3)))
    )
    return CreateOrder(
        order_id=order,
        user_id="ann",
        items=items,
        currency="GBP",
        payment_method=dice.choice(METHODS),
        contact=Contact(email="ann@example.org") if dice.random() < 0.5 else None,
        fingerprint=order,
        timestamp=at,
    )
