"""The rules of the example service, and its messages."""

from __future__ import annotations

from pathlib import Path

from eventbus.codec import Codec
from eventbus.testing import given
from examples.fraud.decider import MANY, screening_decider
from examples.fraud.messages import FraudSuspected, OrderCleared
from schemas import Item, OrderCreated
from tools.generate_messages import outdated

ROOT = Path(__file__).resolve().parents[2]


def order(*quantities: int) -> OrderCreated:
    items = tuple(Item(product_id=f"p{i}", quantity=q, unit_price=1) for i, q in enumerate(quantities))
    return OrderCreated(order_id="o1", user_id="u1", items=items, timestamp=1)


SUSPECTED = FraudSuspected(
    order_id="o1", user_id="u1", reason=f"{MANY + 1} pieces of one product, more than {MANY}"
)


def test_an_order_of_a_few_pieces_is_cleared() -> None:
    given(screening_decider()).when(order(1, MANY)).then(OrderCleared(order_id="o1"))


def test_an_order_of_many_pieces_of_one_product_is_suspected() -> None:
    given(screening_decider()).when(order(1, MANY + 1)).then(SUSPECTED)


def test_an_order_is_looked_at_once() -> None:
    given(screening_decider(), OrderCleared(order_id="o1")).when(order(MANY + 1)).then()
    given(screening_decider(), SUSPECTED).when(order(1)).then()


def test_its_messages_are_what_its_schemas_say_and_travel_as_avro() -> None:
    assert outdated(ROOT / "examples" / "fraud") == {}
    codec = Codec("schemas", "examples.fraud")
    assert codec.decode_value(codec.encode(SUSPECTED)) == SUSPECTED


def test_it_is_shorter_than_sixty_lines() -> None:
    files = [ROOT / "examples" / "fraud" / name for name in ("decider.py", "__main__.py")]
    assert sum(len(file.read_text().splitlines()) for file in files) < 60
