"""What a program that knows only version 1 of OrderCreated, PaymentFailed and InventoryFailed can count on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus import Event, Unrepresentable
from eventbus.codec import Codec
from schemas import InventoryFailed, Item, OrderCreated, PaymentFailed
from tests.support.version_1 import BY_NAME, OldReader, Unreadable, old_value

ROOT = Path(__file__).resolve().parents[2]
CODEC = Codec("schemas")
IDS = json.loads((ROOT / "schemas/ids.json").read_text())
REGISTRY = OldReader(
    {
        IDS[p.stem]: json.loads(p.read_text())
        for p in ROOT.glob("schemas/*/*.avsc")
        if p.stem.split(".")[0] in BY_NAME
    }
)
"""An old reader that is told the schema of every id."""
ALONE = OldReader()
"""One that knows the three ids and asks nobody."""

texts, whole = st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.integers(-(2**31), 2**31 - 1)
times = st.integers(0, 2**53)
items = st.builds(Item, product_id=texts, quantity=whole, unit_price=times)
MANY = (Item(product_id="cup", quantity=1, unit_price=5), Item(product_id="pot", quantity=2, unit_price=7))
TYPES = {"string": texts, "int": whole}
LATEST = "2.1"
"""What only a record of version 2 says of itself: written in version 1, it becomes that of version 1."""
old_records = {
    name: st.fixed_dictionaries(
        {
            field["name"]: TYPES[field["type"]] if field["name"] != "timestamp" else times
            for field in schema["fields"]
        }
    ).filter(lambda record: record.get("version") != LATEST)
    for name, (_, schema) in BY_NAME.items()
}


def event(name: str, lines: tuple[Item, ...]) -> Any:
    """An event of version 2, as its owner writes it for an order of these lines."""
    only = lines[0] if len(lines) == 1 else None
    about: dict[str, Any] = {"order_id": "o1", "user_id": "u1", "items": lines, "timestamp": 5}
    single: dict[str, Any] = {"product_id": only and only.product_id, "quantity": only and only.quantity}
    match name:
        case "OrderCreated":
            return OrderCreated(**about, **single, total_amount=9, currency="EUR")
        case "PaymentFailed":
            return PaymentFailed(**about, **single, reason="card declined", amount=9, currency="EUR")
    short: dict[str, Any] = {"product_id": lines[0].product_id, "quantity": lines[0].quantity}
    return InventoryFailed(**about, **short, available_qty=1, reason="Insufficient inventory")


@pytest.mark.parametrize("name", BY_NAME)
@given(st.data())
def test_what_was_written_in_version_1_is_written_so_again(name: str, data: st.DataObject) -> None:
    value = old_value(name, **data.draw(old_records[name]))
    assert CODEC.encode_as(CODEC.decode_value(value), f"{name}.v1") == value


@pytest.mark.parametrize("name", BY_NAME)
@given(line=items)
def test_an_order_of_one_item_is_in_version_1_what_an_old_reader_makes_of_version_2(
    name: str, line: Item
) -> None:
    latest: Event = event(name, (line,))
    old = ALONE.read(CODEC.encode_as(latest, f"{name}.v1"))
    assert (old["productId"], old["quantity"], old["version"]) == (line.product_id, line.quantity, "1.0")
    assert REGISTRY.read(CODEC.encode(latest)) == old | {"version": LATEST}


@pytest.mark.parametrize("name", BY_NAME)
@given(lines=st.lists(items, max_size=4).filter(lambda lines: len(lines) != 1))
def test_an_order_of_many_items_or_of_none_has_no_version_1(name: str, lines: list[Item]) -> None:
    order = replace(event(name, MANY[:1]), items=tuple(lines))
    with pytest.raises(Unrepresentable, match=f"an order of one item, and this one has {len(lines)}"):
        CODEC.encode_as(order, f"{name}.v1")


def test_two_lines_of_one_product_have_no_version_1_either() -> None:
    line = Item(product_id="cup", quantity=1, unit_price=5)
    with pytest.raises(Unrepresentable):
        CODEC.encode_as(event("OrderCreated", (line, line)), "OrderCreated.v1")


@pytest.mark.parametrize("name", ["OrderCreated", "PaymentFailed"])
def test_an_old_reader_of_the_log_fails_on_many_items_and_never_reads_one_of_them(name: str) -> None:
    with pytest.raises(Unreadable, match="null"):
        REGISTRY.read(CODEC.encode(event(name, MANY)))


@pytest.mark.parametrize("name", BY_NAME)
def test_an_old_reader_without_a_registry_fails_on_every_id_but_its_own(name: str) -> None:
    with pytest.raises(Unreadable, match=f"schema id {IDS[f'{name}.v2.1']} is unknown"):
        ALONE.read(CODEC.encode(event(name, MANY[:1])))


def test_a_shortage_names_the_product_that_is_short_in_every_version() -> None:
    """InventoryFailed of version 2 is about one product of the order, so an old reader of the log reads that one."""
    old = REGISTRY.read(CODEC.encode(event("InventoryFailed", MANY)))
    assert (old["productId"], old["quantity"], old["availableQty"]) == ("cup", 1, 1)
