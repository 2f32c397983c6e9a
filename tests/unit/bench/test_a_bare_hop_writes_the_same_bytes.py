"""The bare stateful hop writes what the service of ``bench.baskets`` writes: the same values and the same headers."""

from __future__ import annotations

from bench.bare.basket_hop import Totals, adding
from bench.baskets.__main__ import Basket, baskets
from bench.baskets.messages import BasketFilled, FillBasket, Line
from eventbus import Settings
from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.model.folding import Folded
from eventbus.model.messages import Envelope
from eventbus.model.record import Raw
from eventbus.processing.context import turn_context
from eventbus.processing.outgoing import produced
from eventbus.processing.work import WorkItem
from tests.support.fetched import fetched
from verification.sim.memory import MemoryStore

CODEC = Codec("bench.baskets")
COMMAND = FillBasket(
    basket_id="basket-1",
    user_id="anne",
    lines=(
        Line(product_id="cup", quantity=2, unit_price=255),
        Line(product_id="pot", quantity=1, unit_price=900),
    ),
    currency="GBP",
    timestamp=1_764_000_000_000,
)


def command(offset: int) -> tuple[Raw, Envelope]:
    envelope = Envelope.from_outside(COMMAND, "basket.commands", 0, time=COMMAND.timestamp, source="/basket")
    raw = Raw("basket.commands", 0, offset, b"basket-1", CODEC.encode(COMMAND), headers_of(envelope), 0)
    return raw, envelope


def test_values_headers_and_state_are_those_of_the_service() -> None:
    now = 0
    context = turn_context(
        "basket",
        {baskets.log: baskets},
        CODEC,
        Settings(),
        MemoryStore((baskets,)),
        lambda key: 0,
        clock=lambda: now,
        jitter=lambda: 0.0,
    )
    totals: Totals = {}
    bare, folded = adding(totals, {}), Folded(Basket())
    for offset in range(3):
        raw, envelope = command(offset)
        value, headers = bare(fetched(raw))
        event = CODEC.decode_value(value)
        assert isinstance(event, BasketFilled)
        now = event.timestamp
        item = WorkItem.of(baskets, raw, envelope)
        (ours,), folded = produced(context, item, folded, baskets.decide(COMMAND, folded.state))
        assert value == ours.value
        assert sorted(map(repr, headers)) == sorted(map(repr, ours.headers))
    assert totals == {"basket-1": (3, folded.state.pieces, folded.state.amount)} == {"basket-1": (3, 9, 4230)}
