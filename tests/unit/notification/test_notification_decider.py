"""Notification's rules: every message in every state, each kind once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from eventbus import Event, Mismatch
from eventbus.testing import given, no_call
from schemas import (
    Contact,
    InventoryFailed,
    Item,
    NotificationDelayed,
    NotificationFailed,
    NotificationSent,
    NotificationSkipped,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderCreated,
    OrderFailed,
    PaymentFailed,
)
from services.notification.decider import Notified, Remaining, give_up, notification_reactor, record_answers
from services.notification.request import Answered, Delayed, Input, Notify, Refused, Sent, Skipped

NOTIFICATION = notification_reactor(no_call)
CUP = Item(product_id="cup", quantity=2, unit_price=300)
ANN = Contact(email="ann@example.com")
EVENTS: dict[str, Input] = {
    "OrderCreated": OrderCreated(order_id="o1", user_id="u1", items=(CUP,), total_amount=600),
    "PaymentFailed": PaymentFailed(order_id="o1", user_id="u1", reason="card declined"),
    "InventoryFailed": InventoryFailed(
        order_id="o1",
        user_id="u1",
        product_id="p1",
        quantity=3,
        available_qty=1,
        reason="Insufficient inventory",
    ),
    "OrderConfirmed": OrderConfirmed(order_id="o1", user_id="u1", total_amount=600, currency="GBP"),
    "OrderCancelled": OrderCancelled(order_id="o1", user_id="u1"),
    "OrderCompleted": OrderCompleted(order_id="o1", user_id="u1"),
    "OrderFailed": OrderFailed(order_id="o1", user_id="u1", stage="EXPIRED", reason="deadline passed"),
}


def sent(kind: str, recipient: str | None = None) -> NotificationSent:
    return NotificationSent(
        order_id="o1", kind=kind, message_id=f"o1:{kind}", channel="log", recipient=recipient
    )


def skipped(kind: str, reason: str = "no contact is known", channel: str = "post") -> NotificationSkipped:
    return NotificationSkipped(
        order_id="o1", kind=kind, message_id=f"o1:{kind}", channel=channel, reason=reason
    )


def failed(kind: str, channel: str = "log", reason: str = "550 no") -> NotificationFailed:
    return NotificationFailed(
        order_id="o1", kind=kind, message_id=f"o1:{kind}", channel=channel, reason=reason
    )


def delayed(kind: str, *channels: str) -> NotificationDelayed:
    return NotificationDelayed(
        order_id="o1", kind=kind, message_id=f"o1:{kind}", channels=channels, reason="451 later"
    )


@pytest.mark.parametrize("answered_by", [sent, skipped, failed])
@pytest.mark.parametrize("before", EVENTS)
@pytest.mark.parametrize("kind", EVENTS)
def test_each_kind_is_told_once_whatever_was_told_before(
    kind: str, before: str, answered_by: Callable[[str], Event]
) -> None:
    scenario = given(NOTIFICATION, answered_by(before)).when(EVENTS[kind])
    if kind == before:
        scenario.then()
    else:
        scenario.then(Notify(EVENTS[kind], f"o1:{kind}", None))


@pytest.mark.parametrize("kind", EVENTS)
def test_a_new_order_is_told_of_every_kind(kind: str) -> None:
    notify = Notify(EVENTS[kind], f"o1:{kind}", None)
    asked = given(NOTIFICATION).when(EVENTS[kind]).then(notify)
    asked.when(Answered(notify, (Sent("log"),))).then(sent(kind)).when(EVENTS[kind]).then()
    asked.when(Answered(notify, (Skipped("post", "no contact is known"),))).then(skipped(kind)).when(
        EVENTS[kind]
    ).then()
    asked.when(Answered(notify, (Refused("log", "550 no"),))).then(failed(kind)).when(EVENTS[kind]).then()


@pytest.mark.parametrize("stage", ["PAYMENT", "INVENTORY"])
@pytest.mark.parametrize("past", [[], [sent("OrderCreated")]])
def test_a_failed_branch_is_told_by_its_own_event(stage: str, past: list[Event]) -> None:
    failed = OrderFailed(order_id="o1", user_id="u1", stage=stage, reason="card declined")
    answer = skipped("OrderFailed", f"told when stage {stage} failed", "none")
    given(NOTIFICATION, *past).when(failed).then(answer).when(failed).then()


def test_the_contact_of_the_order_is_remembered() -> None:
    created = OrderCreated(order_id="o1", user_id="u1", contact=ANN)
    first = Notify(created, "o1:OrderCreated", "ann@example.com")
    scenario = given(NOTIFICATION).when(created).then(first).when(Answered(first, (Sent("log"),)))
    scenario.then(sent("OrderCreated", "ann@example.com"))
    assert scenario.state == Notified(("OrderCreated",), "ann@example.com")
    later = EVENTS["PaymentFailed"]
    scenario.when(later).then(Notify(later, "o1:PaymentFailed", "ann@example.com"))


def test_a_contact_in_the_event_itself_comes_first() -> None:
    cancelled = OrderCancelled(order_id="o1", user_id="u1", contact=Contact(email="new@example.com"))
    scenario = given(NOTIFICATION, sent("OrderCreated", "ann@example.com")).when(cancelled)
    scenario.then(Notify(cancelled, "o1:OrderCancelled", "new@example.com"))


def test_a_contact_without_an_address_is_none() -> None:
    created = OrderCreated(order_id="o1", user_id="u1", contact=Contact())
    given(NOTIFICATION).when(created).then(Notify(created, "o1:OrderCreated", None))


def test_the_log_alone_gives_the_state() -> None:
    past = [sent("OrderCreated", "ann@example.com"), skipped("OrderFailed"), sent("OrderCancelled")]
    assert given(NOTIFICATION, *past).state == Notified(
        ("OrderCreated", "OrderFailed", "OrderCancelled"), "ann@example.com"
    )


@pytest.mark.parametrize("email", ["ann@example.org\n[o2:OrderConfirmed] to b@c", "nobody", "a@b\x1b[2J", ""])
def test_m4_what_is_no_address_is_not_written_to_and_the_customer_is_told_all_the_same(email: str) -> None:
    event = OrderConfirmed(
        order_id="o1", user_id="u1", total_amount=1, currency="GBP", contact=Contact(email=email)
    )
    [notify] = given(NOTIFICATION).when(event).outputs
    assert isinstance(notify, Notify) and notify.recipient is None
    assert notify.unreachable == (
        "contact.email must be an e-mail address" if email else "no contact is known"
    )
    old = NotificationSent(order_id="o1", kind="OrderCreated", message_id="m", channel="log", recipient=email)
    [notify] = given(NOTIFICATION, old).when(replace(event, contact=None)).outputs
    assert isinstance(notify, Notify) and notify.recipient is None, "an old log may hold it"


def test_forged_orders_that_contradict_themselves_notify_nobody() -> None:
    with pytest.raises(Mismatch, match=r"its items are worth 6.00 GBP"):
        given(NOTIFICATION).when(replace(EVENTS["OrderCreated"], total_amount=60_000))  # type: ignore[arg-type]


MAIL = notification_reactor(no_call, ("log", "smtp"), give_up)
CONFIRMED = EVENTS["OrderConfirmed"]
BOTH = Notify(CONFIRMED, "o1:OrderConfirmed", None, ("log", "smtp"))
LATER = Delayed("451 later", (Sent("log"),))
"""What the channels answer when the log has the message, and the mail server says "later"."""


def test_every_channel_answers_with_an_event_of_its_own() -> None:
    answered = Answered(BOTH, (Sent("log"), Refused("smtp", "550 no")))
    scenario = given(MAIL).when(CONFIRMED).then(BOTH).when(answered)
    scenario.then(sent("OrderConfirmed"), failed("OrderConfirmed", "smtp")).when(CONFIRMED).then()


def test_a_retry_of_one_channel_does_not_repeat_the_other() -> None:
    recorded = record_answers(BOTH, Notified(), LATER)
    assert list(recorded) == [sent("OrderConfirmed"), delayed("OrderConfirmed", "smtp")]
    again = Notify(CONFIRMED, "o1:OrderConfirmed", None, ("smtp",))
    scenario = given(MAIL, *recorded).when(CONFIRMED).then(again).when(Answered(again, (Sent("smtp"),)))
    scenario.then(replace(sent("OrderConfirmed"), channel="smtp")).when(CONFIRMED).then()
    assert scenario.state == Notified(("OrderConfirmed",))


@pytest.mark.parametrize("error", [Delayed("451 later"), TimeoutError()], ids=repr)
def test_a_try_that_no_channel_answered_is_not_recorded(error: Exception) -> None:
    assert record_answers(BOTH, Notified(), error) == []


def test_after_the_last_try_only_what_has_not_answered_has_failed() -> None:
    state = given(MAIL, *record_answers(BOTH, Notified(), LATER)).state
    events = give_up(BOTH, state, "451 later")
    assert events == [failed("OrderConfirmed", "smtp", "451 later")]
    given(MAIL, *record_answers(BOTH, Notified(), LATER), *events).when(CONFIRMED).then()
    assert [e.channel for e in give_up(BOTH, Notified(), "-")] == ["log", "smtp"]  # type: ignore[attr-defined]


def test_a_channel_that_is_taken_out_of_use_leaves_nothing_to_wait_for() -> None:
    scenario = given(NOTIFICATION, sent("OrderConfirmed"), delayed("OrderConfirmed", "smtp")).when(CONFIRMED)
    scenario.then(skipped("OrderConfirmed", "this channel is not in use any more", "smtp")).when(
        CONFIRMED
    ).then()


def test_another_kind_does_not_end_the_wait_of_the_first() -> None:
    past = [sent("OrderCreated"), delayed("OrderCreated", "smtp"), sent("OrderConfirmed")]
    assert given(MAIL, *past).state.delayed == (Remaining("OrderCreated", ("smtp",)),)


def test_a_channel_that_is_added_later_repeats_no_history() -> None:
    given(MAIL, sent("OrderConfirmed")).when(CONFIRMED).then()


def test_the_language_of_the_contact_is_kept_for_events_without_one() -> None:
    german = replace(CONFIRMED, contact=Contact(email="ann@example.com", language="de-AT"))
    notify = Notify(german, "o1:OrderConfirmed", "ann@example.com", language="de-AT")
    scenario = given(NOTIFICATION).when(german).then(notify).when(Answered(notify, (Sent("log"),)))
    scenario.then(replace(sent("OrderConfirmed", "ann@example.com"), language="de-AT"))
    [later] = scenario.when(EVENTS["OrderCompleted"]).outputs
    assert isinstance(later, Notify) and later.language == "de-AT"


@pytest.mark.parametrize("language", ["../de", "de\n", "", "german", "d" * 1_000])
def test_what_is_no_language_counts_as_none(language: str) -> None:
    event = replace(CONFIRMED, contact=Contact(language=language))
    [notify] = given(NOTIFICATION).when(event).outputs
    assert isinstance(notify, Notify) and notify.language is None
