"""A thousand orders; the mail server is killed, slow, full, refusing and greylisting, and notification is killed.

Each mail arrives. A repeat has the Message-ID of the first, and only a crash or a lost answer makes one.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eventbus import Event
from schemas import (
    Contact,
    NotificationDelayed,
    NotificationFailed,
    NotificationSent,
    NotificationSkipped,
    OrderConfirmed,
)
from tests.integration.orders import created, order_ids
from tests.support.mail_server import PASSWORD, USER, MailServer
from tests.support.processes import ServiceProcess
from tests.support.system import System
from tests.support.waiting import eventually

ORDERS, PHASES = 1_000, 8
"""In each of them one thing is wrong, or nothing, and an eighth of the orders comes."""


class Post:
    """A mail server that wants TLS and a password, and a notification service that mails by it."""

    def __init__(self, system: System, directory: Path, mode: str = "starttls", **env: str) -> None:
        self.system, self.server = system, MailServer(directory, mode).start()
        secure = {
            "NOTIFICATION_SMTP_STARTTLS": "required",
            "NOTIFICATION_SMTP_CA": str(self.server.ca),
            "NOTIFICATION_SMTP_USER": USER,
            "NOTIFICATION_SMTP_PASSWORD": PASSWORD,
        }
        self.env: dict[str, Any] = {
            "NOTIFICATION_CHANNELS": "log,smtp",
            "NOTIFICATION_SMTP_URL": f"smtp://localhost:{self.server.port}",
            "NOTIFICATION_SMTP_SENDER": "orders@shop.example",
            "EVENTBUS_RETRY_BACKOFF": "0.2",
            "EVENTBUS_RETRY_LONGEST": "2",
            "EVENTBUS_RETRY_ATTEMPTS": "100",
            **(secure if mode == "starttls" else {}),
            **env,
        }
        (self.notification,) = system.start("notification", **self.env)

    def place(self, *orders: str, language: str | None = None) -> None:
        """An event of each order, with an address of its own."""
        events = [replace(created(i), contact=Contact(email=address(i), language=language)) for i in orders]
        self.system.topics.send(*events)

    def events(self, *orders: str) -> list[Event]:
        """What notification recorded about these orders, or about all."""
        found = self.system.topics.messages("notification.events")
        return [e for e in found if isinstance(e, Event) and (not orders or e.key in orders)]

    def answered(self, orders: list[str]) -> Callable[[], bool]:
        """Whether the channel smtp has given a final answer about each order."""

        def probe() -> bool:
            final = (NotificationSent, NotificationFailed, NotificationSkipped)
            found = {e.key for e in self.events() if isinstance(e, final) and e.channel == "smtp"}
            missing = set(orders) - found
            assert not missing, f"{len(missing)} are missing, such as {min(missing)}"
            return True

        return probe

    def crash(self) -> None:
        """kill -9, and a new process at once."""
        self.notification.kill()
        self.notification.start()

    def arrived(self) -> dict[str, list[str]]:
        """By address, the Message-ID of each mail that came."""
        found = defaultdict(list)
        for line, mail in zip(self.server.lines(), self.server.mails(), strict=True):
            (recipient,) = line["to"]
            found[recipient].append(str(mail["Message-ID"]))
        return found


def address(order_id: str) -> str:
    return f"{order_id}@example.org"


def is_open(notification: ServiceProcess) -> bool:
    return notification.metric("eventbus_breaker_open") == 1


@pytest.mark.timeout(400)
@pytest.mark.large
def test_a_thousand_mails_arrive_while_server_and_service_fail(system: System, tmp_path: Path) -> None:
    post = Post(system, tmp_path / "post", NOTIFICATION_SMTP_TIMEOUT="5")
    server, orders = post.server, order_ids(ORDERS)
    phases = [orders[begin::PHASES] for begin in range(PHASES)]
    refused = {address(i): "550 5.1.1 no such mailbox" for i in phases[4][::5]}
    hung, begun = phases[6][0], time.monotonic()
    try:
        post.place(*phases[0])
        eventually(lambda: server.lines(), "mails arrive", timeout=60)

        server.process.kill()
        post.place(*phases[1])
        eventually(lambda: is_open(post.notification), "the breaker opens", timeout=60)
        server.start()

        server.behave(delay=0.2)
        post.place(*phases[2])
        post.crash()
        eventually(lambda: len(server.lines()) > ORDERS // PHASES, "it goes on", timeout=60)
        server.behave(data="452 4.3.1 the disk is full")
        post.place(*phases[3])
        eventually(lambda: is_open(post.notification.wait_ready()), "the breaker opens", timeout=60)

        server.behave(refused=refused)
        post.place(*phases[4])
        eventually(post.answered(phases[4]), "those that are refused are on record", timeout=90)
        server.behave(refused=refused, greylist=True)
        post.place(*phases[5])
        taken = len(server.lines())
        eventually(lambda: len(server.lines()) > taken, "the second tries begin", timeout=60)
        server.process.kill()
        post.crash()
        server.start()

        server.behave(refused=refused, hung=[address(hung)], greylist=True)
        post.place(*phases[6], *phases[7])
        others = [i for i in orders if i != hung]
        eventually(post.answered(others), "one that hangs holds nobody else", timeout=120)
        assert hung not in {
            e.key for e in post.events() if isinstance(e, NotificationSent) and e.channel == "smtp"
        }
        server.behave(refused=refused)
        eventually(post.answered(orders), "every order is answered", timeout=120)
        system.wait_consumed("notification")
        eventually(lambda: not is_open(post.notification.wait_ready()), "the breaker is closed")
    finally:
        server.process.kill()

    arrived, seconds = post.arrived(), time.monotonic() - begun
    assert arrived.keys() == {address(i) for i in orders} - refused.keys(), "each mail arrives, and no other"
    assert all(ids == [ids[0]] * len(ids) for ids in arrived.values()), "a repeat has the same Message-ID"
    assert len({ids[0] for ids in arrived.values()}) == len(arrived), "and no other mail has it"
    answers = Counter(
        (e.key, e.channel) for e in post.events() if isinstance(e, NotificationSent | NotificationFailed)
    )
    assert answers == {(i, channel): 1 for i in orders for channel in ("log", "smtp")}, (
        "each answer is there once"
    )
    failed = [e for e in post.events() if isinstance(e, NotificationFailed)]
    assert {e.recipient for e in failed} == refused.keys()
    assert all("550 5.1.1 no such mailbox" in e.reason for e in failed)
    assert system.topics.messages("notification.dlq") == []
    repeats = sum(map(len, arrived.values())) - len(arrived)
    delayed = sum(isinstance(e, NotificationDelayed) for e in post.events())
    print(f"{ORDERS} orders in {seconds:.0f} s: {repeats} repeats, {delayed} delayed, {len(failed)} refused")
    assert repeats <= 100, "only what was under way in a crash comes twice"


@pytest.fixture(scope="module")
def shared(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Post]:
    """One system for the tests that break nothing for good."""
    directory = tmp_path_factory.mktemp("shared")
    system = System(kafka, directory)
    post = Post(system, directory / "post", "plain")
    yield post
    post.server.process.kill()
    system.close()


def test_a_retry_of_the_mail_writes_no_second_line(shared: Post) -> None:
    (order,) = order_ids(1)
    shared.server.behave(refused={address(order): "451 4.7.1 later"})
    shared.place(order)
    eventually(lambda: any(isinstance(e, NotificationDelayed) for e in shared.events(order)), "it is delayed")
    shared.crash()
    shared.notification.wait_ready()
    shared.server.behave()
    eventually(shared.answered([order]), "it arrives", timeout=60)
    lines = (shared.system.directory / "notifications.log").read_text().splitlines()
    assert len([line for line in lines if order in line]) == 1
    recorded = [(type(e).__name__, getattr(e, "channel", "")) for e in shared.events(order)]
    assert recorded == [
        ("NotificationSent", "log"),
        ("NotificationDelayed", ""),
        ("NotificationSent", "smtp"),
    ]


def test_mails_of_one_order_come_in_their_order_and_other_orders_go_on(shared: Post) -> None:
    late, prompt = order_ids(2)
    contact = Contact(email=address(late))
    shared.server.behave(refused={address(late): "451 4.7.1 later"})
    shared.place(late)
    shared.system.topics.send(
        OrderConfirmed(order_id=late, user_id="anne", total_amount=500, currency="GBP", contact=contact)
    )
    eventually(lambda: any(isinstance(e, NotificationDelayed) for e in shared.events(late)), "it is delayed")
    shared.place(prompt)
    eventually(shared.answered([prompt]), "another order goes on")
    assert address(late) not in shared.arrived()
    shared.server.behave()
    eventually(lambda: len(shared.arrived().get(address(late), [])) == 2, "both arrive", timeout=60)
    kinds = [message_id.split(".")[1] for message_id in shared.arrived()[address(late)]]
    assert kinds == ["OrderCreated@shop", "OrderConfirmed@shop"]


def test_an_address_of_evil_shape_is_skipped_with_a_reason(shared: Post) -> None:
    orders, taken = order_ids(3), len(shared.server.lines())
    evil = ["a@example.org\r\nRCPT TO:<b@example.org>", "a@example.org, b@example.org", "nobody"]
    shared.system.topics.send(
        *(replace(created(i), contact=Contact(email=e)) for i, e in zip(orders, evil, strict=True))
    )
    eventually(shared.answered(orders), "each is answered")
    skipped = [e for e in shared.events(*orders) if isinstance(e, NotificationSkipped)]
    assert [e.reason for e in skipped] == ["contact.email must be an e-mail address"] * 3
    assert len(shared.server.lines()) == taken


@pytest.mark.parametrize("on_exhausted", ["park", "fail"])
def test_after_the_last_try_a_mail_waits_for_a_person_or_has_failed(
    system: System, tmp_path: Path, on_exhausted: str
) -> None:
    post = Post(
        system,
        tmp_path / "post",
        "plain",
        NOTIFICATION_ON_EXHAUSTED=on_exhausted,
        EVENTBUS_RETRY_ATTEMPTS="2",
    )
    post.server.behave(rcpt="452 4.2.2 mailbox full")
    (order,) = order_ids(1)
    post.place(order)
    if on_exhausted == "park":
        eventually(lambda: system.topics.read("notification.dlq"), "it is a dead letter")
        assert not any(isinstance(e, NotificationFailed) for e in post.events())
    else:
        eventually(post.answered([order]), "it has failed")
        [failed] = [e for e in post.events() if isinstance(e, NotificationFailed)]
        assert (failed.channel, "452 4.2.2 mailbox full" in failed.reason) == ("smtp", True)
        system.wait_consumed("notification")
        assert system.topics.messages("notification.dlq") == []
    post.server.process.kill()


def test_a_template_that_fails_ends_the_process_at_the_start(system: System, tmp_path: Path) -> None:
    (tmp_path / "own" / "en").mkdir(parents=True)
    (tmp_path / "own" / "en" / "OrderConfirmed.txt").write_text("{{ order_id")
    process = system.service(
        "notification",
        NOTIFICATION_CHANNELS="smtp",
        NOTIFICATION_SMTP_URL="smtp://mail.example.org",
        NOTIFICATION_SMTP_SENDER="orders@shop.example",
        NOTIFICATION_TEMPLATES=str(tmp_path / "own"),
    ).start()
    assert process.wait_end(60) == 1
    assert "OrderConfirmed.txt: line 1: TemplateSyntaxError" in process.tail()
