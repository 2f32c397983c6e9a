"""The bare services carry an order as ours do: the same events, and headers of the same names, in the same topics."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest

from bench.bare.flow.inventory import Inventory
from bench.bare.flow.notification import Notification
from bench.bare.flow.order import Order
from bench.bare.flow.payment import Payment
from bench.bare.flow.records import SERVICES, Output
from bench.lives import World
from bench.orders import Plan, lives
from eventbus import Settings
from eventbus.codec import Codec
from eventbus.model.record import Raw
from schemas import AdjustStock, CreateOrder, StockReserved
from tests.support.fetched import fetched

CODEC = Codec("schemas")
EVENTS = ("order.events", "inventory.events", "payment.events", "stock.events", "notification.events")


def life() -> list[Raw]:
    """An order of one item, as the load posts it: the command, and what our deciders write until it is confirmed."""
    raws: list[Raw] = []
    world = World(0, 1, raws.append, settings=Settings(old_headers=False))
    plan = Plan(20, 7, 1_764_000_000_000, ends=(("CONFIRMED", 1),))
    for now, commands in lives(plan, 0, 1):
        raws.clear()
        world.now = max(world.now, now)
        world.live(*commands)
        command = commands[0][0]
        if not isinstance(command, AdjustStock):
            assert isinstance(command, CreateOrder)
            if len(command.items) == 1 and command.contact is None:
                return raws
    raise AssertionError("none of these orders has one item and no address")


def written(outputs: Iterable[Output]) -> list[tuple[str, bytes, Any, list[str]]]:
    return [
        (one.topic, one.key, plain(CODEC.decode_value(one.value)), [name for name, _ in one.headers])
        for one in outputs
    ]


def plain(message: Any) -> Any:
    """Without what is of the moment, or of what was there before: the time, the deadline, the stock, the charge."""
    fields = {name: getattr(message, name) for name in message.__dataclass_fields__}
    moment = {"timestamp": 0, "deadline_at": None, "available_qty": 0, "charge_id": None, "fingerprint": ""}
    return type(message)(**{name: moment.get(name, value) for name, value in fields.items()})


def test_all_events_of_an_order_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def charged(self: Payment, order: dict[str, Any]) -> dict[str, Any]:
        return {"outcome": "SUCCEEDED", "id": "ch_1"}

    monkeypatch.setattr(Payment, "_one", charged)
    folders = [tmp_path / name for name in SERVICES]
    for folder in folders:
        folder.mkdir()
    services = (
        Order(folders[0]),
        Payment(folders[1], "http://localhost"),
        Inventory(folders[2]),
        Notification(folders[3]),
    )
    raws = life()
    ours = written(
        Output(raw.topic, raw.key or b"", raw.value or b"", cast(Any, raw.headers))
        for raw in raws
        if raw.topic in EVENTS
    )

    bare: list[tuple[str, bytes, Any, list[str]]] = []
    for service in services:
        for topic in service.reads:
            bare += written(service.decide([fetched(raw) for raw in raws if raw.topic == topic]))
            service.keep()
        service.close()

    assert sorted(map(repr, bare)) == sorted(map(repr, ours))
    assert {type(message) for _, _, message, _ in bare} >= {StockReserved}
