"""Inventory's two halves talk through topics, but in one transaction where nobody else writes in between."""

from __future__ import annotations

from eventbus import Message
from schemas import AdjustStock, InventoryReserved
from tests.integration.orders import created, order_ids
from tests.support.system import System
from tests.support.waiting import eventually


def placed(system: System, order_id: str) -> list[tuple[str, int]]:
    """The events of an order in inventory's log, each with its offset."""
    found = system.topics.envelopes("inventory.events")
    return [(e.message.name, e.offset) for e in found if e.message.key == order_id]


def reserved(system: System) -> set[str]:
    messages: list[Message] = system.topics.messages("inventory.events")
    return {message.key for message in messages if isinstance(message, InventoryReserved)}


def await_reserved(system: System, order_id: str) -> None:
    eventually(lambda: order_id in reserved(system), f"{order_id} is reserved")


def test_an_order_is_reserved_in_one_transaction_and_again_behind_what_others_write(system: System) -> None:
    (inventory,) = system.start("inventory")
    inventory.wait_ready()
    system.topics.send(AdjustStock(product_id="cup", quantity=100, reason="delivery"))
    first, second, third = order_ids(3)
    for order_id in (first, second, third):
        system.topics.send(created(order_id))
        await_reserved(system, order_id)
        # somebody else writes to stock.commands, behind the marker of the transaction
        system.topics.send(AdjustStock(product_id="cup", quantity=1, reason="another"))
        system.wait_consumed("inventory")

    for order_id in (second, third):
        kinds, offsets = zip(*placed(system, order_id), strict=True)
        assert kinds == ("ReservationStarted", "ProductReserved", "InventoryReserved")
        assert offsets == tuple(range(offsets[0], offsets[0] + 3)), "a marker between ends a transaction"
    commands = [e for e in system.topics.envelopes("stock.commands") if e.message.name == "ReserveStock"]
    answers = system.topics.envelopes("inventory.answers")
    assert sorted(e.cause or "" for e in answers) == sorted(str(e.position) for e in commands)
