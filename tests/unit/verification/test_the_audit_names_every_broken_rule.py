"""The audit's rules, on recorded topics that were never in Kafka."""

from __future__ import annotations

import json

import pytest

from eventbus.codec import Codec
from eventbus.model.places import Position
from schemas import (
    CancelOrder,
    CancelRefused,
    CommandRepeated,
    CompleteOrder,
    CreateOrder,
    OrderFailed,
    OrderPaymentVoided,
    PaymentVoided,
)
from services.order import rules
from tests.support.forgeries import FORGERIES, PRODUCT, Forgery, shop
from tests.support.recorded_topics import NOW, RecordedTopics
from verification.audit.gateway import GatewayRecord
from verification.audit.judge import AuditResult, judge
from verification.audit.ledger import LISTENERS, Frontier, Ledger
from verification.audit.orders import REPEATS
from verification.audit.report import as_json, text

CODEC = Codec("schemas")


def one_partition(key: bytes) -> int:
    return 0


def frontier_of(recorded: RecordedTopics) -> Frontier:
    """All groups have decided everything."""
    return {
        (group, *part): end for part, end in recorded.ends().items() for group in LISTENERS.get(part[0], ())
    }


def audited(recorded: RecordedTopics, frontier: Frontier | None = None, gateway: bool = True) -> AuditResult:
    ledger = Ledger(CODEC, one_partition)
    ledger.advance(frontier_of(recorded) if frontier is None else frontier)
    for raw in recorded.records:
        ledger.take(raw)
    record = GatewayRecord("") if gateway else None
    for row in recorded.gateway if record else ():
        assert record
        record.add(row)
    return judge(ledger, record, sure_until=record.last if record else 0, now=NOW + 5000)


def honest() -> RecordedTopics:
    recorded = RecordedTopics(one_partition)
    shop(recorded)
    return recorded


def test_honest_topics_are_clean() -> None:
    verdict = audited(honest())
    assert verdict.violations == []
    assert verdict.orders == {"CONFIRMED": 1, "COMPLETED": 1, "FAILED": 1, "CANCELLED": 1}
    money, pieces = verdict.money["GBP"], verdict.pieces
    assert (money.charged, money.refunded, money.value) == (600, 200, 400)
    assert (money.gateway_charged, money.gateway_refunded) == (600, 200)
    assert (pieces.adjusted, pieces.available, pieces.held, pieces.shipped) == (100, 96, 2, 2)
    assert "The audit is clean." in text(verdict)
    assert json.loads(as_json(verdict))["clean"] is True


def test_the_order_in_which_topics_are_read_does_not_matter() -> None:
    recorded = honest()
    recorded.records.sort(key=lambda raw: (raw.topic, raw.offset), reverse=False)
    assert audited(recorded).clean
    recorded.records.sort(key=lambda raw: ([-ord(c) for c in raw.topic], raw.offset))
    assert audited(recorded).clean


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.name)
def test_a_forgery_is_named(forgery: Forgery) -> None:
    verdict = audited(forgery.recorded(one_partition))
    named = [v for v in verdict.violations if (v.rule, v.subject) == (forgery.rule, forgery.subject)]
    assert named, f"not seen; instead: {verdict.violations}"
    assert any(forgery.says in f"{v.expected} {v.found} {v.where}" for v in named), named
    assert forgery.subject in text(verdict)


@pytest.mark.parametrize(
    "led_by", [b"order.events-0-1", b"order.events-999-1", b"no place", b"x-" + b"9" * 5_000]
)
def test_events_that_unwritten_messages_led_to_are_judged_whatever_they_name(led_by: bytes) -> None:
    recorded = honest()
    unwritten = b"stock.commands.unwritten-0-1"
    said = [("cause", unwritten), ("ce_cause", unwritten), ("ce_causationid", led_by)]
    recorded.records = [
        raw._replace(headers=[*raw.headers, *said]) if raw.topic == "stock.events" else raw
        for raw in recorded.records
    ]
    assert audited(recorded).violations == []


def test_what_is_on_its_way_is_open_and_not_judged() -> None:
    recorded = honest()
    created = recorded.create("o9", PRODUCT)
    frontier = dict(frontier_of(recorded)) | {("payment", "order.events", 0): created.offset}
    verdict = audited(recorded, frontier)
    assert verdict.clean
    [order] = verdict.open
    assert (order.order, order.status, order.age) == ("o9", "PROCESSING", 5.0)
    assert order.waits_for == f"payment has not decided {created}"
    assert verdict.pieces.held_open == 2


def test_an_event_newer_than_the_frontier_keeps_its_order_from_being_judged() -> None:
    recorded = RecordedTopics(one_partition, omit=["OrderCreated"])
    recorded.stock(PRODUCT, 10)
    before = frontier_of(recorded)
    recorded.confirm("o1", PRODUCT)
    ahead = [
        raw for raw in recorded.records if raw.topic in ("stock.events", "stock.commands", "payment.events")
    ]
    recorded.records = ahead
    verdict = audited(recorded, before)
    assert verdict.clean
    assert [order.order for order in verdict.open] == ["o1"]


def test_a_compensation_under_way_is_open() -> None:
    recorded = RecordedTopics(one_partition, omit=["PaymentRefunded", "refund"])
    shop(recorded)
    cancelled = recorded.find("order.events", "o4", "OrderCancelled")
    frontier = dict(frontier_of(recorded)) | {("payment", "order.events", 0): cancelled.offset}
    verdict = audited(recorded, frontier)
    assert verdict.clean
    assert [(order.order, order.status) for order in verdict.open] == [("o4", "CANCELLED")]
    assert verdict.money["GBP"].open == 200


def test_a_dead_letter_explains_what_is_missing() -> None:
    recorded = honest()
    recorded.create("o9", PRODUCT)
    recorded.dead_letter(recorded.find("order.events", "o9", "OrderCreated"), "payment")
    verdict = audited(recorded)
    assert verdict.clean
    assert verdict.dead == {"o9": ["payment.dlq-0-0"]}
    assert verdict.pieces.held_dead == 2
    assert "payment.dlq-0-0" in text(verdict)
    assert "the gateway is away" in text(verdict)


def test_a_dead_letter_does_not_explain_a_second_charge() -> None:
    recorded = honest()
    recorded.dead_letter(recorded.find("order.events", "o1"), "payment")
    recorded.moved("CHARGE", "o1", 200, "charge:o1:2")
    assert [v.rule for v in audited(recorded).violations] == ["charged once"]


def test_a_dead_lettered_charge_is_told_apart() -> None:
    recorded = honest()
    recorded.create("o9", PRODUCT)
    recorded.moved("CHARGE", "o9", 200)
    recorded.dead_letter(recorded.find("order.events", "o9", "OrderCreated"), "payment")
    assert audited(recorded).clean


def test_bytes_that_became_a_dead_letter_are_no_violation() -> None:
    recorded = honest()
    recorded.put("payment.events", 0, b"x", b"not avro", [("ce_type", b"PaymentSucceeded")])
    recorded.dead_letter(recorded.find("payment.events", "x"), "order")
    verdict = audited(recorded)
    assert verdict.clean
    assert len(verdict.letters) == 1


def test_without_the_gateway_the_topics_are_judged_alone() -> None:
    recorded = honest()
    recorded.gateway.clear()
    assert audited(recorded, gateway=False).clean
    assert not audited(recorded).clean


def test_what_the_gateway_did_after_the_cut_is_not_held_against_the_topics() -> None:
    recorded = honest()
    ledger = Ledger(CODEC, one_partition)
    ledger.advance(frontier_of(recorded))
    for raw in recorded.records:
        ledger.take(raw)
    record = GatewayRecord("")
    for row in recorded.gateway:
        record.add(row)
    sure = record.last
    recorded.moved("REFUND", "o1", 200)
    record.add(recorded.gateway[-1])
    assert judge(ledger, record, sure, NOW).clean


def test_groups_that_never_decided_anything_leave_all_open() -> None:
    verdict = audited(honest(), frontier={})
    assert verdict.clean
    assert {order.order for order in verdict.open} == {"o1", "o2", "o3", "o4"}


def test_a_parked_message_keeps_its_order_open() -> None:
    recorded = honest()
    recorded.create("o9", PRODUCT)
    recorded.park(recorded.find("order.events", "o9", "OrderCreated"), "payment", "WAITING", attempt=2)
    verdict = audited(recorded)
    assert verdict.clean
    [order] = verdict.open
    assert order.order == "o9"
    assert order.waits_for.startswith("payment has parked order.events-0-")
    assert order.waits_for.endswith("after 2 tries")


def test_a_parked_message_that_is_dead_makes_its_order_dead_lettered() -> None:
    recorded = honest()
    recorded.create("o9", PRODUCT)
    created = recorded.find("order.events", "o9", "OrderCreated")
    recorded.park(created, "payment", "WAITING")
    recorded.park(created, "payment", "DEAD", attempt=3)
    recorded.dead_letter(created, "payment")
    verdict = audited(recorded)
    assert verdict.clean
    assert verdict.open == []
    assert verdict.dead == {"o9": ["payment.dlq-0-0"]}


def test_a_dead_letter_that_was_decided_after_all_explains_nothing() -> None:
    recorded = honest()
    recorded.create("o9", PRODUCT)
    created = recorded.find("order.events", "o9", "OrderCreated")
    recorded.dead_letter(created, "payment")
    for state in ("DEAD", "REDRIVEN", "RESOLVED"):
        recorded.park(created, "payment", state)
    verdict = audited(recorded)
    assert [v.rule for v in verdict.violations] == ["no order is stuck"]
    assert verdict.letters == []


def test_a_discarded_message_waits_for_nobody_but_still_explains() -> None:
    recorded = honest()
    recorded.create("o9", PRODUCT)
    created = recorded.find("order.events", "o9", "OrderCreated")
    recorded.dead_letter(created, "payment")
    recorded.park(created, "payment", "DISCARDED")
    verdict = audited(recorded)
    assert verdict.clean
    assert verdict.letters == []
    assert list(verdict.dead) == ["o9"]


def test_a_command_that_is_parked_is_not_unanswered() -> None:
    recorded = honest()
    command = recorded.find("order.commands", "o1")
    again = recorded.put("order.commands", 0, b"o7", command.value or b"", command.headers)
    assert not audited(recorded).clean
    recorded.park(next(raw for raw in recorded.records if raw.coordinates == str(again)), "order", "WAITING")
    verdict = audited(recorded)
    assert verdict.clean
    assert [order.order for order in verdict.open] == ["o7"]


def test_an_order_whose_deadline_passed_is_judged() -> None:
    recorded = honest()
    recorded.create("o9", PRODUCT)
    passed = Position("order.events.deadline", 0, NOW)
    why = "not settled in time"
    failed = recorded.write(OrderFailed(order_id="o9", user_id="u", stage="EXPIRED", reason=why), passed)
    voided = recorded.write(PaymentVoided(order_id="o9", reason=why), failed)
    recorded.write(OrderPaymentVoided(order_id="o9"), voided)
    recorded.release("o9", PRODUCT, 2, failed)
    verdict = audited(recorded)
    assert verdict.clean, verdict.violations
    assert verdict.orders["FAILED"] == 2


def repeated(cancels: int, answered: int, *, skip: int | None = None) -> RecordedTopics:
    """The topics of the shop, with commands to cancel an order that is cancelled. The first ones are answered."""
    recorded = honest()
    for number in range(cancels):
        place = recorded.write(CancelOrder(order_id="o4"))
        if number < answered and number != skip:
            recorded.write(CommandRepeated(order_id="o4", command="CancelOrder"), place)
    return recorded


def test_m5_commands_beyond_the_bound_need_no_answer() -> None:
    assert audited(repeated(cancels=50, answered=REPEATS)).violations == []
    assert audited(repeated(cancels=3_000, answered=3_000)).violations == [], "as older releases wrote it"


@pytest.mark.parametrize("answered", [0, 1, REPEATS - 1])
def test_m5_a_command_within_the_bound_that_got_no_answer_is_found(answered: int) -> None:
    found = audited(repeated(cancels=answered + 1, answered=answered)).violations
    assert [(v.rule, v.subject) for v in found] == [("every command answered", "o4")]


def test_m5_a_command_that_was_passed_over_before_the_bound_was_reached_is_found() -> None:
    recorded = repeated(cancels=REPEATS + 9, answered=REPEATS + 1, skip=5)
    [found] = audited(recorded).violations
    cancels = [raw for raw in recorded.records if raw.header("ce_type") == "CancelOrder" and raw.key == b"o4"]
    assert (found.rule, found.where) == ("every command answered", cancels[1 + 5].coordinates)


def test_m5_a_command_that_waited_was_decided_after_those_behind_it() -> None:
    """It overtakes nobody: the bound was reached while it was parked."""
    recorded = honest()
    first = recorded.write(CompleteOrder(order_id="o4"))
    raw = recorded.find("order.commands", "o4", "CompleteOrder")
    assert raw.offset == first.offset
    for _ in range(REPEATS):
        recorded.write(
            CommandRepeated(order_id="o4", command="CancelOrder"), recorded.write(CancelOrder(order_id="o4"))
        )
    assert not audited(recorded).clean
    recorded.park(raw, "order", "RESOLVED")
    assert audited(recorded).violations == []


def test_m5_an_order_that_was_never_created_is_found_however_much_was_refused_before() -> None:
    recorded = honest()
    for _ in range(REPEATS):
        place = recorded.write(CancelOrder(order_id="o9"))
        recorded.write(CancelRefused(order_id="o9", status="NEW", reason="there is no such order"), place)
    recorded.write(CancelOrder(order_id="o9"))
    assert audited(recorded).violations == []
    recorded.write(CreateOrder(order_id="o9", user_id="u", items=(), currency="GBP"))
    assert [v.rule for v in audited(recorded).violations] == ["every command answered"]


def test_m5_the_audit_and_the_rules_name_the_same_bound() -> None:
    assert REPEATS == rules.REPEATS


REQUEST = "request:5013e32a-78d8-583b-9096-bc5c8a2a3005:aa"


def test_a_command_whose_request_is_answered_needs_no_event_of_its_own() -> None:
    recorded = honest()
    first = recorded.write(CancelOrder(order_id="o4"), id=REQUEST)
    recorded.write(CommandRepeated(order_id="o4", command="CancelOrder"), first, causation_id=REQUEST)
    recorded.write(CancelOrder(order_id="o4"), id=REQUEST)
    assert audited(recorded).violations == []


@pytest.mark.parametrize("identity", ["1", REQUEST.replace("5013", "5014"), "request", "request::"])
def test_a_command_of_a_request_that_nobody_answered_needs_an_event(identity: str) -> None:
    recorded = honest()
    first = recorded.write(CancelOrder(order_id="o4"), id=REQUEST)
    recorded.write(CommandRepeated(order_id="o4", command="CancelOrder"), first, causation_id=REQUEST)
    recorded.write(CancelOrder(order_id="o4"), id=identity)
    assert [v.rule for v in audited(recorded).violations] == ["every command answered"]


def test_an_answer_to_the_same_request_about_another_order_is_none() -> None:
    recorded = honest()
    first = recorded.write(CancelOrder(order_id="o4"), id=REQUEST)
    recorded.write(CommandRepeated(order_id="o4", command="CancelOrder"), first, causation_id=REQUEST)
    recorded.write(CancelOrder(order_id="o1"), id=REQUEST)
    assert [v.subject for v in audited(recorded).violations] == ["o1"]
