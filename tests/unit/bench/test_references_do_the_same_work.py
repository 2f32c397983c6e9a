"""The bare references read and write the bytes that this project reads and writes."""

from __future__ import annotations

import pytest

from bench.bare.post import OrderBody, record_of
from bench.bare.record import COMMAND, CREATED, AvroCodec, created
from bench.shop import PLAN
from eventbus.codec import Codec
from schemas import CreateOrder, OrderCreated


def test_the_record_of_a_bare_hop_is_an_order_of_this_project() -> None:
    bare, ours = AvroCodec(CREATED), Codec("schemas")
    value = bare.encode(created("order-1"))

    event = ours.decode_value(value, None)

    assert isinstance(event, OrderCreated) and event.order_id == "order-1"
    assert ours.encode(event) == value
    assert bare.decode(value) == created("order-1")


def test_the_bare_app_makes_the_command_of_an_order_that_the_load_posts() -> None:
    order = OrderBody.model_validate_json(PLAN.body(7))

    command = Codec("schemas").decode_value(AvroCodec(COMMAND).encode(record_of("order-1", order)), None)

    assert isinstance(command, CreateOrder)
    assert [(item.product_id, item.quantity, item.unit_price) for item in command.items] == [
        ("load-007", 1, 100)
    ]
    assert (command.user_id, command.currency, command.payment_method) == ("load-7", "GBP", "tok_ok")


def test_bytes_of_another_schema_are_refused() -> None:
    with pytest.raises(ValueError, match="not of the expected schema"):
        AvroCodec(COMMAND).decode(AvroCodec(CREATED).encode(created("order-1")))
