"""Whatever the order, number and delay of the messages, money and stock are conserved.

Hypothesis chooses who reads next and how fast, what comes twice, what fails and is tried again later, what expires,
when a process dies before it commits, and when a customer or a clerk sends another command.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from eventbus import Message
from schemas import (
    AdjustStock,
    CancelOrder,
    CompleteOrder,
    CreateOrder,
    Item,
    NotificationSent,
    NotificationSkipped,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderCreated,
    OrderFailed,
    OrderPaid,
    OrderPaymentFailed,
    OrderPaymentVoided,
    OrderRefunded,
    OrderReleased,
    OrderReservationFailed,
    OrderReserved,
    OrderShipped,
    PaymentRefunded,
    PaymentSucceeded,
    ReleaseStock,
    ReserveStock,
    ShipStock,
    StockAdjusted,
    StockAnswered,
    StockRefused,
    StockReleased,
    StockReserved,
    StockShipped,
)
from tests.support.interleaving import Interleaving

PRODUCTS = ("cup", "pot", "mug", "jar", "pan")
ALL_AT_ONCE = 1_000
"""So many products at a time did inventory ask for before there were waves."""
SETTLING = (OrderConfirmed, OrderCompleted, OrderFailed, OrderCancelled)
LEGAL_ENDINGS: set[tuple[type[Message], ...]] = {
    (OrderConfirmed,),
    (OrderConfirmed, OrderCompleted),
    (OrderConfirmed, OrderCancelled),
    (OrderCancelled,),
    (OrderFailed,),
}
WENT_WELL: dict[type[Message], list[set[type[Message]]]] = {
    OrderConfirmed: [{OrderPaid, OrderReserved}],
    OrderCompleted: [{OrderPaid, OrderReserved, OrderShipped}],
}
"""What payment and inventory reported of an order that ended so."""
CAME_TO_NOTHING: list[set[type[Message]]] = [
    {*paid, *held}
    for paid in (
        {OrderPaid, OrderRefunded},
        {OrderPaymentFailed},
        {OrderPaymentVoided},
        # Settled while nobody knew what had become of the charge; then it was found to have happened.
        {OrderPaymentVoided, OrderPaid, OrderRefunded},
    )
    for held in (
        {OrderReserved, OrderReleased},
        {OrderReservationFailed, OrderReleased},
        {OrderReleased},
        set(),
    )
]
"""The same of one that failed or was cancelled. Nothing is heard of a reservation that was voided."""
FACTS = (
    OrderPaid,
    OrderRefunded,
    OrderPaymentFailed,
    OrderPaymentVoided,
    OrderReserved,
    OrderReleased,
    OrderReservationFailed,
    OrderShipped,
)


@dataclass(frozen=True)
class Schedule:
    """The stock at first, the orders, and which commands are sent and what fails at which step."""

    stock: dict[str, int]
    orders: list[CreateOrder]
    commands: list[tuple[int, Message]]
    faults: dict[int, str]
    pace: tuple[int, ...]
    seed: int
    waves: tuple[int, int] = (2, 2)
    """Products that inventory asks for at a time, before and after the step ``upgraded_at``."""
    upgraded_at: int = 0


def order_ids(count: int) -> list[str]:
    return [f"o{n}" for n in range(count)]


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    ids = order_ids(draw(st.integers(1, 4)))
    item = st.builds(
        Item,
        product_id=st.sampled_from(PRODUCTS),
        quantity=st.integers(1, 3),
        unit_price=st.integers(0, 500),
    )
    methods = st.sampled_from(["tok_ok", "tok_ok", "tok_ok", "tok_timeout", "tok_flaky", "tok_declined"])
    orders = [
        CreateOrder(
            order_id=order_id,
            user_id="ann",
            items=tuple(draw(st.lists(item, min_size=1, max_size=7))),
            currency="GBP",
            payment_method=draw(methods),
            fingerprint=order_id,
        )
        for order_id in ids
    ]
    some_order = st.sampled_from(ids)
    command = st.one_of(
        st.builds(CompleteOrder, order_id=some_order),
        st.builds(CancelOrder, order_id=some_order),
        st.builds(replace, st.sampled_from(orders), fingerprint=st.sampled_from(["o0", "another"])),
        st.builds(
            AdjustStock,
            product_id=st.sampled_from(PRODUCTS),
            quantity=st.integers(-4, 4),
            reason=st.just("count"),
            adjustment_id=st.sampled_from([None, "a1", "a2"]),
        ),
    )
    moment = st.integers(0, 40 * len(ids))
    return Schedule(
        stock=draw(st.fixed_dictionaries({p: st.integers(0, 15) for p in PRODUCTS})),
        orders=orders,
        commands=draw(st.lists(st.tuples(moment, command), max_size=8)),
        faults=draw(
            st.dictionaries(moment, st.sampled_from(["again", "dies", "parks", "expires"]), max_size=12)
        ),
        pace=draw(st.tuples(*[st.sampled_from([10, 1, 100])] * 5)),
        seed=draw(st.integers(0, 1 << 32)),
        waves=draw(st.sampled_from([(2, 2), (1, 1), (3, 1), (ALL_AT_ONCE, 2)])),
        upgraded_at=draw(moment),
    )


def run(schedule: Schedule) -> Interleaving:
    """Run the schedule until every command is sent and nobody has anything left to read."""
    interleaving, dice = Interleaving(schedule.waves[0]), random.Random(schedule.seed)
    for product_id, quantity in schedule.stock.items():
        interleaving.send(
            AdjustStock(product_id=product_id, quantity=quantity, reason="at first", adjustment_id="first")
        )
    for order in schedule.orders:
        interleaving.send(order)
    commands = sorted(schedule.commands, key=lambda w: w[0])
    step, busy = 0, True
    while busy or commands:
        while commands and (commands[0][0] <= step or not busy):
            interleaving.send(commands.pop(0)[1])
        fault = schedule.faults.get(step)
        if fault == "again":
            interleaving.read_again(dice)
        elif fault == "parks":
            interleaving.park(dice)
        elif fault == "expires":
            interleaving.expire(dice.choice(schedule.orders).order_id)
        if step == schedule.upgraded_at:
            interleaving.upgrade(schedule.waves[1])
        busy = interleaving.read_next(dice, schedule.pace, dies=fault == "dies")
        step += 1
    return interleaving


def check_history_of(order_id: str, interleaving: Interleaving) -> type[Message]:
    """The order began once and ended legally, each fact recorded once. Returns how it ended."""
    assert len(interleaving.events(order_id, OrderCreated)) == 1
    ending = tuple(type(e) for e in interleaving.events(order_id, *SETTLING))
    assert ending in LEGAL_ENDINGS, ending
    facts = [type(e) for e in interleaving.events(order_id, *FACTS)]
    assert len(facts) == len(set(facts)), facts
    legal = WENT_WELL.get(ending[-1], CAME_TO_NOTHING)
    assert set(facts) in legal, (ending, facts)
    return ending[-1]


def check_money(order: CreateOrder, end: type[Message], interleaving: Interleaving) -> None:
    """Charged less refunded is the order's value if it went well, else nothing; the gateway agrees."""
    charged = sum(e.amount for e in interleaving.events(order.order_id, PaymentSucceeded))
    refunded = sum(e.amount for e in interleaving.events(order.order_id, PaymentRefunded))
    value = sum(item.quantity * item.unit_price for item in order.items)
    assert charged - refunded == (value if end in WENT_WELL else 0)
    assert interleaving.gateway.taken(order.order_id) == charged - refunded


def check_stock(product_id: str, wanted: dict[type[Message], int], interleaving: Interleaving) -> None:
    """What was put in is available, held for confirmed orders, or shipped with completed ones."""
    events = interleaving.events(
        product_id, StockAdjusted, StockReserved, StockReleased, StockShipped, StockRefused
    )
    assert all(e.available_qty >= 0 for e in events)

    def total(kind: type[Message]) -> int:
        return sum(e.quantity for e in interleaving.events(product_id, kind))

    held = total(StockReserved) - total(StockReleased) - total(StockShipped)
    available = events[-1].available_qty if events else 0
    assert total(StockAdjusted) - available == held + total(StockShipped)
    assert held == wanted[OrderConfirmed]
    assert total(StockShipped) == wanted[OrderCompleted]
    ids = [e.adjustment_id for e in events if isinstance(e, StockAdjusted) and e.adjustment_id]
    assert len(ids) == len(set(ids)), "an adjustment happened twice"


def check_notices(interleaving: Interleaving) -> None:
    """Each kind of event is answered once an order; only a process that died may have sent a notice twice."""
    answers = [
        m.message_id for m in interleaving.log if isinstance(m, NotificationSent | NotificationSkipped)
    ]
    assert len(answers) == len(set(answers))
    assert {n.message_id for n in interleaving.channel.notices} == {
        m.message_id for m in interleaving.log if isinstance(m, NotificationSent)
    }


@given(schedules())
@settings(max_examples=150)
def test_every_schedule_ends_with_money_and_stock_conserved(schedule: Schedule) -> None:
    interleaving = run(schedule)
    wanted: dict[str, dict[type[Message], int]] = {p: defaultdict(int) for p in PRODUCTS}
    for order in schedule.orders:
        end = check_history_of(order.order_id, interleaving)
        check_money(order, end, interleaving)
        for item in order.items:
            wanted[item.product_id][end] += item.quantity
    for product_id in PRODUCTS:
        check_stock(product_id, wanted[product_id], interleaving)
    check_notices(interleaving)


def test_without_faults_an_order_is_confirmed_completed_paid_and_shipped() -> None:
    """Guards against checks that pass because nothing happens."""
    order = CreateOrder(
        order_id="o0",
        user_id="ann",
        items=(
            Item(product_id="cup", quantity=2, unit_price=5),
            Item(product_id="pot", quantity=1, unit_price=7),
        ),
        currency="GBP",
    )
    commands: list[tuple[int, Message]] = [(10_000, CompleteOrder(order_id="o0"))]
    stock = {**dict.fromkeys(PRODUCTS, 0), "cup": 2, "pot": 1}
    interleaving = run(Schedule(stock, [order], commands, {}, (1, 1, 1, 1, 1), 0))
    assert check_history_of("o0", interleaving) is OrderCompleted
    assert interleaving.gateway.taken("o0") == 17
    assert [e.quantity for e in interleaving.events("cup", StockShipped)] == [2]


def test_m1_of_a_large_order_no_more_than_a_wave_is_under_way() -> None:
    """Reserving, releasing and shipping: commands sent less answers come never exceed the wave."""
    items = tuple(Item(product_id=f"p{n}", quantity=1, unit_price=1) for n in range(20))
    for end, kinds in (
        (CompleteOrder(order_id="o0"), {"ReserveStock", "ShipStock"}),
        (CancelOrder(order_id="o0"), {"ReserveStock", "ReleaseStock"}),
    ):
        order = CreateOrder(order_id="o0", user_id="ann", items=items, currency="GBP")
        stock = {item.product_id: 1 for item in items}
        interleaving = run(Schedule(stock, [order], [(10_000, end)], {}, (1, 1, 1, 1, 1), 0, waves=(3, 3)))
        seen, under_way = set(), 0
        for message in interleaving.log:
            if isinstance(message, StockAnswered):
                under_way -= 1
            elif isinstance(message, ReserveStock | ReleaseStock | ShipStock):
                seen.add(message.name)
                under_way += 1
            # An answer is sent before it is read, so the next command may follow a few answers late, never early.
            assert under_way <= 3
        assert seen == kinds and under_way == 0
