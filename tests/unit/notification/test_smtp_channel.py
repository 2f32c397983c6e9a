"""The channel ``smtp`` against a real SMTP server, in a process of its own, TLS included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from eventbus import Poison, Retryable
from eventbus.model.errors import Misconfigured
from schemas import Item, OrderConfirmed, OrderCreated
from services.notification.channel import Notice
from services.notification.letters import Letters
from services.notification.messenger import Messenger
from services.notification.request import Answered, Delayed, Notify, Refused, Sent
from services.notification.settings import NotificationSettings
from services.notification.smtp import SmtpChannel
from services.notification.smtp_connections import AT_ONCE, Addresses, Unanswered
from tests.support.mail_server import PASSWORD, USER, MailServer

LETTERS = Letters(None, "en", ZoneInfo("UTC"))
EVENT = OrderConfirmed(order_id="o1", user_id="u1", total_amount=510, currency="GBP")
ANN = "ann@example.org"


def notice(number: int = 1, recipient: str = ANN, language: str | None = None) -> Notice:
    event = OrderConfirmed(order_id=f"o{number}", user_id="u1", total_amount=510, currency="GBP")
    return Notice(f"o{number}:OrderConfirmed", event, recipient, language)


def settings(server: MailServer, **more: Any) -> NotificationSettings:
    url = f"smtp://127.0.0.1:{server.port}"
    wanted = {"channels": "smtp", "smtp_url": url, "smtp_sender": "The Shop <orders@shop.example>", **more}
    return NotificationSettings(**wanted)


@asynccontextmanager
async def channel(server: MailServer, **more: Any) -> AsyncIterator[SmtpChannel]:
    chosen = settings(server, **more)
    made = SmtpChannel(chosen.server, chosen.sender, LETTERS)
    yield made
    await made.close()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    server = MailServer(tmp_path_factory.mktemp("mail")).start()
    yield server
    server.process.kill()


@pytest.fixture
def server(plain: MailServer) -> MailServer:
    """The server of this module, empty and well-behaved."""
    plain.behave()
    (plain.directory / "mails.jsonl").unlink(missing_ok=True)
    if not plain.process.alive:
        plain.start()
    return plain


# What a customer gets


async def test_a_mail_has_both_parts_and_the_headers_that_programs_go_by(server: MailServer) -> None:
    created = OrderCreated(
        order_id="o1",
        user_id="u1",
        items=(Item(product_id="Tasse", quantity=2, unit_price=255),),
        currency="EUR",
        total_amount=510,
    )
    async with channel(server) as smtp:
        await smtp.send(Notice("o1:OrderCreated", created, "zoë@example.org", "de"))
        await smtp.send(notice())
    first, second = server.mails()
    assert [line["to"] for line in server.lines()] == [["zoë@example.org"], [ANN]]
    assert first["From"] == "The Shop <orders@shop.example>" and first["To"] == "zoë@example.org"
    assert first["Subject"] == "Wir haben Ihre Bestellung o1 erhalten"
    assert first["Message-ID"] == "<o1.OrderCreated@shop.example>"
    assert (
        second["Message-ID"]
        == "<o1.OrderConfirmed@shop.example>"
        == f"<{second['X-Notification-ID']}@shop.example>"
    )
    assert first["References"] == second["References"] == "<o1@shop.example>", "one thread"
    assert first["Auto-Submitted"] == "auto-generated" and first["Content-Language"] == "de"
    assert first["Date"]
    text, html = first.get_body(("plain",)), first.get_body(("html",))
    assert text and "2 × Tasse zu 2,55" in text.get_content()
    assert html and "<td>Tasse</td>" in html.get_content()


async def test_a_host_in_letters_of_any_alphabet_needs_nothing_of_the_server(server: MailServer) -> None:
    async with channel(server) as smtp:
        await smtp.send(notice(recipient="ann@exämple.org"))
    [line], [mail] = server.lines(), server.mails()
    assert line["to"] == ["ann@xn--exmple-cua.org"] == [mail["To"]]


async def test_a_repeat_has_the_same_message_id(server: MailServer) -> None:
    async with channel(server) as one, channel(server) as other:
        await one.send(notice())
        await other.send(notice())
    ids = [mail["Message-ID"] for mail in server.mails()]
    assert len(ids) == 2 and len(set(ids)) == 1


@pytest.mark.parametrize(
    "order_id",
    ["a\r\nBcc: bob@example.org", "a b", "<x@y>", "..", "ö" * 100, "x" * 5_000, "o1:OrderConfirmed"],
)
async def test_no_order_id_forges_a_header(server: MailServer, order_id: str) -> None:
    event = OrderConfirmed(order_id=order_id, user_id="u1", total_amount=1, currency="GBP")
    async with channel(server) as smtp:
        await smtp.send(Notice(f"{order_id}:OrderConfirmed", event, ANN, None))
    [mail] = server.mails()
    assert mail["Bcc"] is None and [line["to"] for line in server.lines()] == [[ANN]]
    for header in ("Message-ID", "References"):
        local, _, domain = mail[header].strip("<>").rpartition("@")
        assert (
            domain == "shop.example"
            and local.isascii()
            and not set(local) & set(" <>\r\n@")
            and ".." not in local
        )


async def test_connections_are_used_again(server: MailServer) -> None:
    async with channel(server, smtp_connections=2) as smtp:
        for number in range(5):
            await smtp.send(notice(number))
        await asyncio.gather(*(smtp.send(notice(n, f"c{n}@example.org")) for n in range(20)))
    peers = {line["peer"] for line in server.lines()}
    assert len(server.lines()) == 25 and len(peers) == 2


async def test_a_server_that_was_restarted_costs_no_mail(server: MailServer) -> None:
    async with channel(server) as smtp:
        await smtp.send(notice(1))
        server.process.kill()
        server.start()
        with suppress(Retryable):  # the one that finds out
            await smtp.send(notice(2))
        await smtp.send(notice(2))
    assert {mail["Message-ID"] for mail in server.mails()} == {
        "<o1.OrderConfirmed@shop.example>",
        "<o2.OrderConfirmed@shop.example>",
    }


# What is tried again, and what is not


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ({"rcpt": "451 4.7.1 greylisted"}, Retryable),
        ({"rcpt": "452 4.2.2 mailbox full"}, Retryable),
        ({"data": "452 4.3.1 disk full"}, Retryable),
        ({"mail": "421 4.3.2 closing"}, Retryable),
        ({"mail": "550 5.7.1 this sender may not"}, Retryable),
        ({"mail": "530 5.7.0 authentication required"}, Retryable),
        ({"rcpt": "550 5.1.1 no such mailbox"}, Poison),
        ({"rcpt": "553 5.1.3 not an address"}, Poison),
        ({"data": "554 5.7.1 looks like spam"}, Poison),
        ({"mail": "552 5.3.4 too large"}, Poison),
    ],
    ids=str,
)
async def test_what_the_server_answers_decides(
    server: MailServer, behaviour: dict[str, str], error: type
) -> None:
    server.behave(**behaviour)
    (reply,) = behaviour.values()
    async with channel(server) as smtp:
        for _ in range(2):  # the second one on the same connection, or a new one
            with pytest.raises(error, match=reply) as caught:
                await smtp.send(notice())
            assert ANN not in str(caught.value)
        server.behave()
        await smtp.send(notice())
    assert len(server.mails()) == 1


async def test_an_answer_that_repeats_the_address_is_shown_with_it_masked(server: MailServer) -> None:
    server.behave(refused={ANN: f"550 <{ANN}> is unknown"})
    async with channel(server) as smtp:
        with pytest.raises(Poison, match=r"<a…@example\.org> is unknown"):
            await smtp.send(notice())


async def test_no_server_is_tried_again(server: MailServer) -> None:
    server.process.kill()
    async with channel(server) as smtp:
        with pytest.raises(Retryable, match=f"no connection to 127.0.0.1:{server.port}"):
            await smtp.send(notice())


async def test_a_server_that_takes_connections_and_says_nothing_is_given_up(tmp_path: Path) -> None:
    silent = MailServer(tmp_path)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(say_nothing, "127.0.0.1", silent.port)
    async with listening, channel(silent, smtp_timeout=0.3) as smtp:
        with pytest.raises(Retryable, match="no connection to"):
            await smtp.send(notice())


async def test_one_recipient_that_hangs_holds_nobody_else(server: MailServer) -> None:
    server.behave(hung=[ANN])
    async with channel(server, smtp_timeout=600, smtp_connections=AT_ONCE + 1) as smtp:
        hanging = [asyncio.create_task(smtp.send(notice(n))) for n in range(50)]
        await asyncio.gather(*(smtp.send(notice(100 + n, f"c{n}@example.org")) for n in range(100)))
        assert len(server.mails()) == 100, "over the one connection that is left"
        for call in hanging:
            call.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


async def test_after_a_mail_without_an_answer_the_others_to_that_address_wait(server: MailServer) -> None:
    server.behave(hung=[ANN])
    async with channel(server, smtp_timeout=2) as smtp:
        ends = await asyncio.gather(*(smtp.send(notice(n)) for n in range(20)), return_exceptions=True)
        assert all(isinstance(end, Retryable) for end in ends)
        assert sum(isinstance(end, Unanswered) for end in ends) <= AT_ONCE
        await smtp.send(notice(99, "bob@example.org"))


async def test_an_address_that_rests_is_tried_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.notification.smtp_connections.REST", 0.05)
    addresses = Addresses()
    with pytest.raises(Unanswered):
        async with addresses.turn(ANN):
            raise Unanswered("no answer")
    with pytest.raises(Retryable, match=r"did not answer about a…@example.org lately"):
        async with addresses.turn(ANN):
            raise AssertionError("it rests")
    await asyncio.sleep(0.06)
    async with addresses.turn(ANN):
        pass
    assert not addresses._known, "an address that nothing waits for is forgotten"


async def test_a_mail_that_is_given_up_leaves_no_connection_in_doubt(server: MailServer) -> None:
    """A call that is cancelled in the middle: the next mail does not read its answer."""
    server.behave(delay=5)
    async with channel(server, smtp_connections=1) as smtp:
        call = asyncio.create_task(smtp.send(notice(1)))
        await asyncio.sleep(0.3)
        call.cancel()
        with suppress(asyncio.CancelledError):
            await call
        server.behave(refused={"bob@example.org": "550 no bob"})
        with pytest.raises(Poison, match="550 no bob"):
            await smtp.send(notice(2, "bob@example.org"))
        await smtp.send(notice(3, "eve@example.org"))
    assert [line["to"] for line in server.lines()][-1] == ["eve@example.org"]


async def test_the_messenger_says_what_each_channel_answered(server: MailServer) -> None:
    notify = Notify(EVENT, "o1:OrderConfirmed", ANN, ("smtp",))
    async with channel(server) as smtp:
        assert await Messenger(smtp).call(notify) == Answered(notify, (Sent("smtp"),))
        server.behave(rcpt="550 5.1.1 no such mailbox")
        answered = await Messenger(smtp).call(notify)
        assert isinstance(answered, Answered) and isinstance(answered.answers[0], Refused)
        server.behave(rcpt="451 later")
        with pytest.raises(Delayed, match="451 later"):
            await Messenger(smtp).call(notify)


# TLS and passwords


@pytest.fixture(scope="module", params=["starttls", "smtps"])
def secure(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    server = MailServer(tmp_path_factory.mktemp(request.param), request.param).start()
    yield server
    server.process.kill()


def secured(server: MailServer, **more: Any) -> dict[str, Any]:
    scheme = "smtps" if server.mode == "smtps" else "smtp"
    wanted = {
        "smtp_url": f"{scheme}://localhost:{server.port}",
        "smtp_starttls": "required",
        "smtp_ca": server.ca,
    }
    return {**wanted, "smtp_user": USER, "smtp_password": PASSWORD, **more}


async def test_mail_goes_over_tls_with_a_password(secure: MailServer) -> None:
    async with channel(secure, **secured(secure)) as smtp:
        await smtp.send(notice())
    assert [line["tls"] for line in secure.lines()][-1] is (
        secure.mode == "starttls"
    ) or secure.mode == "smtps"
    assert secure.mails()[-1]["Message-ID"] == "<o1.OrderConfirmed@shop.example>"


async def test_a_certificate_that_nobody_vouches_for_gets_no_password(secure: MailServer) -> None:
    def seen() -> tuple[int, int]:
        return len(secure.lines()), (secure.directory / "mail.log").read_text().count("somebody tried")

    before = seen()
    async with channel(secure, **secured(secure, smtp_ca=None)) as smtp:
        with pytest.raises(Retryable, match="certificate"):
            await smtp.send(notice())
    assert seen() == before


async def test_a_wrong_password_is_tried_again_and_never_shown(secure: MailServer) -> None:
    async with channel(secure, **secured(secure, smtp_password="wrong horse")) as smtp:
        with pytest.raises(Retryable, match="535") as caught:
            await smtp.send(notice())
    assert "wrong horse" not in str(caught.value), "though the server says it back"


async def test_without_starttls_where_it_is_required_nothing_is_sent(server: MailServer) -> None:
    async with channel(server, smtp_starttls="required", smtp_user=USER, smtp_password=PASSWORD) as smtp:
        with pytest.raises(Retryable, match="STARTTLS"):
            await smtp.send(notice())
    assert server.lines() == []


def test_a_file_without_certificates_is_found_at_the_start(server: MailServer, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for file in (tmp_path / "empty.pem", tmp_path / "nothing.pem"):
        chosen = settings(server, smtp_starttls="required", smtp_ca=file)
        with pytest.raises(Misconfigured, match="NOTIFICATION_SMTP_CA"):
            SmtpChannel(chosen.server, chosen.sender, LETTERS)
