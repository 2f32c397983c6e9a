"""The orders that are generated: what customers and clerks send, drawn from a seed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from bench.lives import SERVICES
from eventbus import Message
from eventbus.kafka.records import partition_of
from schemas import AdjustStock, CancelOrder, CompleteOrder, Contact, CreateOrder, Item

PACE = 20
"""Ms between two orders of a partition."""
ORDERS_A_PRODUCT = 500
ENDS = {"CONFIRMED": 80, "COMPLETED": 10, "CANCELLED": 4, "DECLINED": 4, "SHORT": 2}
"""Of a hundred orders, how many end in which way: the last two are FAILED, by payment and by inventory."""
PRICES = (85, 125, 165, 255, 295, 495, 795, 1275)


@dataclass(frozen=True)
class Plan:
    """What is generated. ``begin``: time of the first order, ms since epoch.

    ``services``: those that have worked so far. ``ends``: how orders end, each with its weight.
    """

    orders: int
    seed: int
    begin: int
    services: Sequence[str] = SERVICES
    ends: tuple[tuple[str, int], ...] = tuple(ENDS.items())


def lives(plan: Plan, partition: int, partitions: int) -> Iterator[tuple[int, list[tuple[Message, str]]]]:
    """The commands of each life in one partition, and when (ms since epoch) it begins: deliveries, then orders."""
    dice = Random(f"{plan.seed} {partition}")
    count = plan.orders // partitions + (partition < plan.orders % partitions)
    if count <= 0:
        return
    names = (f"product-{number}" for number in range(sys.maxsize))
    here = (name for name in names if partition_of(name.encode(), partitions) == partition)
    sold_out, *products = [next(here) for _ in range(2 + count // ORDERS_A_PRODUCT)]
    now = plan.begin
    for product in products:
        yield now, [(_delivery(product, count), _identity(dice))]
        now += PACE
    ends, weights = zip(*plan.ends, strict=True)
    for _ in range(count):
        end = dice.choices(ends, weights)[0]
        order = _order_id(dice, now, partition, partitions)
        yield now, _life(dice, order, end, [sold_out] if end == "SHORT" else products)
        now += PACE


def _delivery(product: str, count: int) -> Message:
    return AdjustStock(
        product_id=product,
        quantity=100 * count,
        reason="delivery",
        adjustment_id="first",
        fingerprint="first",
    )


def _life(dice: Random, order: str, end: str, products: Sequence[str]) -> list[tuple[Message, str]]:
    lines = dice.choice((1, 1, 1, 2, 3))
    created = CreateOrder(
        order_id=order,
        user_id=f"user-{dice.randint(1, 100_000)}",
        items=tuple(
            Item(
                product_id=dice.choice(products), quantity=dice.randint(1, 6), unit_price=dice.choice(PRICES)
            )
            for _ in range(lines)
        ),
        currency="GBP",
        payment_method="tok_declined" if end == "DECLINED" else "tok_ok",
        contact=Contact(email=f"{order[-12:]}@example.org") if dice.random() < 0.5 else None,
        fingerprint=f"{dice.getrandbits(256):064x}",
    )
    commands: list[Message] = [created]
    if end == "CANCELLED":
        commands.append(CancelOrder(order_id=order, reason="changed my mind"))
    if end == "COMPLETED":
        commands.append(CompleteOrder(order_id=order))
    return [(command, _identity(dice)) for command in commands]


def _order_id(dice: Random, now: int, partition: int, partitions: int) -> str:
    """A UUIDv7 of that time whose partition is this one."""
    while True:
        bits = f"{dice.getrandbits(72):018x}"
        order = f"{now >> 16:08x}-{now & 0xFFFF:04x}-7{bits[:3]}-b{bits[3:6]}-{bits[6:]}"
        if partition_of(order.encode(), partitions) == partition:
            return order


def _identity(dice: Random) -> str:
    bits = f"{dice.getrandbits(120):030x}"
    return f"{bits[:8]}-{bits[8:12]}-4{bits[12:15]}-a{bits[15:18]}-{bits[18:]}"
