"""Inventory's two halves talk through topics until their first messages are read, and then in one transaction."""

from __future__ import annotations

from eventbus import Message
from schemas import AdjustStock, InventoryReserved, ReserveStock, StockReserved
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


def commands(system: System) -> list[str]:
    """The orders that the order half has asked for in a record."""
    messages = system.topics.messages("stock.commands")
    return [message.order_id for message in messages if isinstance(message, ReserveStock)]


def test_an_order_is_reserved_in_one_transaction_whatever_others_write_between(system: System) -> None:
    (inventory,) = system.start("inventory")
    inventory.wait_ready()
    system.topics.send(AdjustStock(product_id="cup", quantity=100, reason="delivery"))
    # The first message to each partition is written, so they are orders of one partition.
    first, second, third = [o for o in order_ids(60) if system.topics.partition(o) == 0][:3]
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
    assert commands(system) == [first], "what was decided at once is not written"
    created_at = {e.message.key: str(e.position) for e in system.topics.envelopes("order.events")}
    led_by = {
        e.message.order_id: e.led_by
        for e in system.topics.envelopes("stock.events")
        if isinstance(e.message, StockReserved)
    }
    assert led_by[second] == created_at[second] and led_by[third] == created_at[third]


def test_a_replica_that_comes_and_one_that_goes_leave_no_message_undecided(system: System) -> None:
    """Tasks change hands between orders, so what one replica wrote another reads, and what comes after it waits."""
    (inventory,) = system.start("inventory")
    inventory.wait_ready()
    system.topics.send(AdjustStock(product_id="cup", quantity=100, reason="delivery"))
    ids = order_ids(24)
    for order_id in ids[:8]:
        system.topics.send(created(order_id))
    (other,) = system.start("inventory", slot=1)
    other.wait_ready()
    for order_id in ids[8:16]:
        system.topics.send(created(order_id))
    inventory.stop()
    for order_id in ids[16:]:
        system.topics.send(created(order_id))
    eventually(lambda: reserved(system) == set(ids), "all orders are reserved")
    left = [m for m in system.topics.messages("stock.events") if isinstance(m, StockReserved)]
    assert sorted(m.order_id for m in left) == sorted(ids)
    assert left[-1].available_qty == 100 - sum(m.quantity for m in left)
