"""The default channel, the words, and what happens where a channel needs a contact."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from eventbus import Request, Retryable
from schemas import (
    InventoryFailed,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderCreated,
    OrderFailed,
    PaymentFailed,
)
from services.notification.channel import LogChannel, Messenger, Notice
from services.notification.decider import Delivered, Input, NoContact, Notify
from services.notification.settings import NotificationSettings
from services.notification.text import money, sentence

CANCELLED = OrderCancelled(order_id="o1", user_id="u1")
NOTIFY = Notify(CANCELLED, "o1:OrderCancelled", "ann@example.com")
LINE = (
    "[o1:OrderCancelled] to ann@example.com: "
    "As you wished, your order o1 is cancelled. What you paid for it comes back to you."
)


class Post:
    """A channel that needs an address."""

    name = "post"
    needs_contact = True

    def __init__(self) -> None:
        self.sent: list[Notice] = []

    async def send(self, notice: Notice) -> None:
        self.sent.append(notice)


async def test_one_readable_line_in_the_log_and_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "run" / "notifications.log"
    with caplog.at_level(logging.INFO, "notification"):
        assert await Messenger(LogChannel(file)).call(NOTIFY) == Delivered(NOTIFY, "log")
    assert caplog.messages == [LINE]
    assert file.read_text() == LINE + "\n"


async def test_a_repeat_is_appended_with_the_same_message_id(tmp_path: Path) -> None:
    file = tmp_path / "notifications.log"
    file.write_text("before\n")
    for _ in range(2):
        await Messenger(LogChannel(file)).call(NOTIFY)
    assert file.read_text() == f"before\n{LINE}\n{LINE}\n"


async def test_without_a_file_the_log_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    nobody = Notify(CANCELLED, "o1:OrderCancelled", None)
    with caplog.at_level(logging.INFO, "notification"):
        assert await Messenger(LogChannel()).call(nobody) == Delivered(nobody, "log")
    assert "to the customer: As you wished" in caplog.text


async def test_a_file_that_cannot_be_written_may_be_writable_later(tmp_path: Path) -> None:
    with pytest.raises(Retryable, match="cannot write"):
        await Messenger(LogChannel(tmp_path)).call(NOTIFY)


async def test_a_channel_that_needs_a_contact_is_not_asked_without_one() -> None:
    post, nobody = Post(), Notify(CANCELLED, "o1:OrderCancelled", None)
    assert await Messenger(post).call(nobody) == NoContact(nobody, "post")
    assert post.sent == []
    assert await Messenger(post).call(NOTIFY) == Delivered(NOTIFY, "post")
    assert [notice.message_id for notice in post.sent] == ["o1:OrderCancelled"]


async def test_another_request_is_a_mistake() -> None:
    with pytest.raises(TypeError):
        await Messenger(Post()).call(Request())


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            OrderCreated(order_id="o1", user_id="u1", total_amount=255, currency="GBP"),
            "Thank you: your order o1 over 2.55 GBP has arrived.",
        ),
        (
            PaymentFailed(order_id="o1", user_id="u1", reason="card\ndeclined"),
            "The payment for your order o1 did not go through: card declined.",
        ),
        (
            InventoryFailed(
                order_id="o1", user_id="u1", product_id="p1", quantity=3, available_qty=1, reason="-"
            ),
            "We cannot deliver your order o1: of product p1 you asked for 3, and 1 are left.",
        ),
        (
            OrderConfirmed(order_id="o1", user_id="u1", total_amount=600, currency="GBP"),
            "Good news: your order o1 over 6.00 GBP is confirmed.",
        ),
        (
            CANCELLED,
            "As you wished, your order o1 is cancelled. What you paid for it comes back to you.",
        ),
        (OrderCompleted(order_id="o1", user_id="u1"), "Your order o1 is complete. Enjoy it."),
        (
            OrderFailed(order_id="o1", user_id="u1", stage="EXPIRED", reason="deadline passed"),
            "We could not finish your order o1 in time, so it has ended. What you paid comes back to you.",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_customer_reads(event: Input, text: str) -> None:
    assert sentence(event) == text


def test_money_in_the_digits_of_its_currency() -> None:
    assert [money(1234, c) for c in ("GBP", "JPY", "KWD")] == ["12.34 GBP", "1234 JPY", "1.234 KWD"]
    assert money(5, "EUR") == "0.05 EUR"


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert NotificationSettings().file == Path(".run/notifications.log")
    monkeypatch.setenv("NOTIFICATION_FILE", "elsewhere.log")
    assert NotificationSettings().file == Path("elsewhere.log")
    monkeypatch.setenv("NOTIFICATION_FILE", "none")
    assert NotificationSettings().file is None
