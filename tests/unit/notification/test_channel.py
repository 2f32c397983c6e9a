"""The default channel, the words, and what happens where a channel needs a contact."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import multiprocessing
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from eventbus import Poison, Request, Retryable
from schemas import (
    InventoryFailed,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderCreated,
    OrderFailed,
    PaymentFailed,
)
from schemas.money import EXPONENTS, decimal_text
from services.notification.channel import LogChannel, Notice
from services.notification.line_file import LineFile
from services.notification.messenger import Messenger
from services.notification.request import Answered, Delayed, Input, Notify, Refused, Sent, Skipped
from services.notification.settings import NotificationSettings
from services.notification.text import MAX_LINE, sentence

CANCELLED = OrderCancelled(order_id="o1", user_id="u1")
NOTIFY = Notify(CANCELLED, "o1:OrderCancelled", "ann@example.com")
BY_POST = replace(NOTIFY, channels=("post",))
TEXT = "Your order o1 was cancelled. We refund what you paid for it."
LINE = f"[o1:OrderCancelled] to ann@example.com: {TEXT}"


class Post:
    """A channel that needs an address."""

    name = "post"
    needs_contact = True

    def __init__(self, error: Exception | None = None) -> None:
        self.sent: list[Notice] = []
        self.error = error

    async def send(self, notice: Notice) -> None:
        if self.error:
            raise self.error
        self.sent.append(notice)


async def test_one_readable_line_in_the_log_and_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "run" / "notifications.log"
    with caplog.at_level(logging.INFO, "notification"):
        assert await Messenger(LogChannel(LineFile(file, 10_000, 2))).call(NOTIFY) == Answered(
            NOTIFY, (Sent("log"),)
        )
    assert caplog.messages == [LINE.replace("ann@", "a…@")], (
        "not everybody who reads a log may know the address"
    )
    assert file.read_text() == LINE + "\n"


async def test_a_repeat_is_appended_with_the_same_message_id(tmp_path: Path) -> None:
    file = tmp_path / "notifications.log"
    file.write_text("before\n")
    for _ in range(2):
        await Messenger(LogChannel(LineFile(file, 10_000, 2))).call(NOTIFY)
    assert file.read_text() == f"before\n{LINE}\n{LINE}\n"


async def test_without_a_file_the_log_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    nobody = Notify(CANCELLED, "o1:OrderCancelled", None)
    with caplog.at_level(logging.INFO, "notification"):
        assert await Messenger(LogChannel()).call(nobody) == Answered(nobody, (Sent("log"),))
    assert "to the customer: Your order o1 was" in caplog.text


async def test_a_file_that_cannot_be_written_may_be_writable_later(tmp_path: Path) -> None:
    with pytest.raises(Retryable, match="cannot write"):
        await Messenger(LogChannel(LineFile(tmp_path, 10_000, 2))).call(NOTIFY)


async def test_a_channel_that_needs_a_contact_is_not_asked_without_one() -> None:
    post, nobody = Post(), replace(BY_POST, recipient=None, unreachable="no contact is known")
    assert await Messenger(post).call(nobody) == Answered(nobody, (Skipped("post", "no contact is known"),))
    assert post.sent == []
    assert await Messenger(post).call(BY_POST) == Answered(BY_POST, (Sent("post"),))
    assert [notice.message_id for notice in post.sent] == ["o1:OrderCancelled"]


async def test_a_channel_that_refuses_for_good_has_answered() -> None:
    assert await Messenger(Post(Poison("550 no"))).call(BY_POST) == Answered(
        BY_POST, (Refused("post", "550 no"),)
    )


async def test_the_channels_that_have_answered_are_named_where_another_may_deliver_later() -> None:
    both = replace(NOTIFY, channels=("log", "post"))
    with pytest.raises(Delayed, match="451 later") as caught:
        await Messenger(LogChannel(), Post(Retryable("451 later"))).call(both)
    assert caught.value.answers == (Sent("log"),)


async def test_a_channel_that_is_slow_delays_no_other() -> None:
    released = asyncio.Event()

    class Slow(Post):
        name = "slow"

        async def send(self, notice: Notice) -> None:
            await asyncio.wait_for(released.wait(), 10)

    class Releasing(Post):
        async def send(self, notice: Notice) -> None:
            released.set()

    both = replace(NOTIFY, channels=("slow", "post"))
    assert await Messenger(Slow(), Releasing()).call(both) == Answered(both, (Sent("slow"), Sent("post")))


async def test_another_request_is_a_mistake() -> None:
    with pytest.raises(TypeError):
        await Messenger(Post()).call(Request())


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            OrderCreated(order_id="o1", user_id="u1", total_amount=255, currency="GBP"),
            "Thank you. We received your order o1 of 2.55 GBP.",
        ),
        (
            PaymentFailed(order_id="o1", user_id="u1", reason="card\ndeclined"),
            "The payment for your order o1 failed: card declined.",
        ),
        (
            InventoryFailed(
                order_id="o1", user_id="u1", product_id="p1", quantity=3, available_qty=1, reason="-"
            ),
            "We cannot deliver your order o1. You ordered 3 of product p1; available: 1.",
        ),
        (
            OrderConfirmed(order_id="o1", user_id="u1", total_amount=600, currency="GBP"),
            "Your order o1 of 6.00 GBP is confirmed.",
        ),
        (
            CANCELLED,
            TEXT,
        ),
        (OrderCompleted(order_id="o1", user_id="u1"), "Your order o1 is complete."),
        (
            OrderFailed(order_id="o1", user_id="u1", stage="EXPIRED", reason="deadline passed"),
            "We could not complete your order o1 in time, so it has ended. We refund what you paid for it.",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_customer_reads(event: Input, text: str) -> None:
    assert sentence(event) == text


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_h6_the_customer_reads_the_amount_that_the_order_shows_in_every_currency(currency: str) -> None:
    event = OrderConfirmed(order_id="o1", user_id="u1", total_amount=1000, currency=currency)
    assert f"of {decimal_text(1000, currency)} {currency} is confirmed" in sentence(event)


def test_h6_a_thousand_rwf_is_a_thousand_rwf() -> None:
    event = OrderCreated(order_id="o1", user_id="u1", total_amount=1000, currency="RWF")
    assert "of 1000 RWF." in sentence(event)


@pytest.mark.parametrize(
    "text", ["a\nb", "a\r\n[o2:OrderConfirmed] to b", "\x1b[2J", "a\u2028b", "a\x85b", "\x00"]
)
async def test_m4_no_text_of_an_event_forges_a_line_or_reaches_a_terminal_raw(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    file = tmp_path / "notifications.log"
    event = InventoryFailed(
        order_id=text, user_id="u", product_id=text, quantity=1, available_qty=0, reason=text
    )
    with caplog.at_level(logging.INFO, "notification"):
        await Messenger(LogChannel(LineFile(file, 10_000, 2))).call(Notify(event, f"{text}:X", text))
    for line in (*caplog.messages, file.read_text().removesuffix("\n")):
        assert line.isprintable(), line


def test_m4_a_line_is_bounded() -> None:
    event = PaymentFailed(order_id="o1", user_id="u", reason="x" * 1_000_000)
    assert len(sentence(event)) == MAX_LINE


async def test_m4_the_file_is_the_owners_alone_also_where_an_older_release_let_everybody_read_it(
    tmp_path: Path,
) -> None:
    new, old = tmp_path / "new.log", tmp_path / "old.log"
    old.touch(0o644)
    for file in (new, old):
        await Messenger(LogChannel(LineFile(file, 10_000, 2))).call(NOTIFY)
        assert file.stat().st_mode & 0o777 == 0o600


def test_m5_the_file_rotates_and_no_more_than_so_many_are_kept(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "n.log", max_bytes=100, kept=2)
    for number in range(100):
        file.append(f"{number:09}")
    written = {p.name: [int(n) for n in p.read_text().split()] for p in tmp_path.glob("n.log*")}
    assert written == {
        "n.log": list(range(90, 100)),
        "n.log.1": list(range(80, 90)),
        "n.log.2": list(range(70, 80)),
        "n.log.lock": [],
    }
    assert {p.stat().st_mode & 0o777 for p in tmp_path.glob("n.log*")} == {0o600}


def test_m5_a_replica_that_froze_while_it_rotated_holds_no_other_up(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "n.log", max_bytes=100, kept=2)
    with (tmp_path / "n.log.lock").open("w") as frozen:
        fcntl.flock(frozen, fcntl.LOCK_EX)
        for number in range(20):
            file.append(f"{number:09}")
    assert len((tmp_path / "n.log").read_text().split()) == 20
    file.append("and on")
    assert (tmp_path / "n.log").read_text() == "and on\n"


def test_m5_a_file_that_was_renamed_removed_or_opened_to_all_meanwhile_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "run" / "n.log"
    file = LineFile(path, 10_000, 2)
    file.append("one")
    path.rename(path.with_name("elsewhere"))
    file.append("two")
    assert (path.with_name("elsewhere").read_text(), path.read_text()) == ("one\n", "two\n")
    path.chmod(0o644)
    file.append("three")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("two\nthree\n", 0o600)
    shutil.rmtree(path.parent)
    file.append("four")
    assert path.read_text() == "four\n"


ROTATIONS = 11


def write_lines(path: Path, writer: int, least: int) -> None:
    """Append ``least`` lines, and then more until the file was rotated often enough. Leaves their number in a file.

    A writer that is descheduled while it holds the lock lets the file grow, so a number of lines proves no rotation.
    """
    file, number = LineFile(path, max_bytes=2_000, kept=1_000), 0
    rotated = path.with_name(f"{path.name}.{ROTATIONS}")
    while number < least or (number < 50 * least and not rotated.exists()):
        file.append(f"{writer} {number}")
        number += 1
    path.with_name(f"written-{writer}").write_text(f"{number}")


def test_m5_of_several_replicas_that_write_and_rotate_none_loses_a_line(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=write_lines, args=(tmp_path / "n.log", w, 2_000)) for w in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    files = [p for p in tmp_path.glob("n.log*") if p.suffix != ".lock"]
    lines = sorted(line for p in files for line in p.read_text().splitlines())
    written = [int((tmp_path / f"written-{w}").read_text()) for w in range(3)]
    assert lines == sorted(f"{w} {n}" for w, count in enumerate(written) for n in range(count))
    assert min(written) >= 2_000 and len(files) > ROTATIONS


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert NotificationSettings().file == Path(".run/notifications.log")
    monkeypatch.setenv("NOTIFICATION_FILE", "elsewhere.log")
    assert NotificationSettings().file == Path("elsewhere.log")
    monkeypatch.setenv("NOTIFICATION_FILE", "none")
    assert (NotificationSettings().file, NotificationSettings().lines) == (None, None)
