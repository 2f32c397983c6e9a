"""The channel ``smtp``: mails to customers by any mail server, such as Amazon SES over its SMTP interface.

What the server answers decides what becomes of a mail (RFC 5321, 4.2.1):

    2xx to its text                 it is sent
    5xx to its recipient or text    it is refused for good (Poison)
    anything else                   it is tried again later (Retryable): 4xx, no connection, no TLS, a wrong password,
                                    and a 5xx to the sender, which is a setting and not the mail's fault

A mail whose answer was lost may have been sent: it is sent again, with the same Message-ID.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

from eventbus import Poison, Retryable
from eventbus.model.errors import Misconfigured
from schemas.address import masked
from services.notification.channel import Notice
from services.notification.letters import Letters
from services.notification.mail import deliverable, mail
from services.notification.smtp_connections import Addresses, Connections, Unanswered
from services.notification.text import on_one_line

OF_THE_ACCOUNT = (530, 534, 535, 538)
"""5xx that say nothing about a mail: the server wants another user, password or TLS (RFC 4954)."""
OF_THE_CONNECTION = (503, 521)
"""5xx about the order of commands, and of a server that takes no mail at all (RFC 7504)."""
TOO_LARGE = 552
"""Said to the sender, before the text, by a server that takes no mail of this size (RFC 1870)."""
MAX_REASON = 300
"""Characters of what a server answered."""


@dataclass(frozen=True)
class SmtpServer:
    """Where mails are handed in, and how."""

    host: str
    port: int
    tls: bool
    """TLS from the first byte."""
    starttls: bool
    """STARTTLS is required: without it no mail is sent and no password."""
    ca: Path | None
    """The certificates to trust, a PEM file; those of the system if None."""
    user: str | None
    password: str | None = field(repr=False)
    timeout: float
    """Seconds that a connection may take, and a mail on it."""
    connections: int

    def context(self) -> ssl.SSLContext | None:
        """What TLS trusts. Raises Misconfigured if the file is none."""
        if not (self.tls or self.starttls):
            return None
        try:
            return ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as error:
            raise Misconfigured(f"NOTIFICATION_SMTP_CA={self.ca}: {error}") from error

    def client(self, context: ssl.SSLContext | None) -> SMTP:
        """A client that is not connected."""
        return SMTP(
            hostname=self.host,
            port=self.port,
            username=self.user,
            password=self.password,
            timeout=self.timeout,
            use_tls=self.tls,
            start_tls=self.starttls,
            tls_context=context,
        )


class SmtpChannel:
    """Sends each notice as one mail. Errors show addresses masked, and no password."""

    name = "smtp"
    needs_contact = True

    def __init__(self, server: SmtpServer, sender: Address, letters: Letters) -> None:
        """Opens no connection. Raises Misconfigured."""
        self._server, self._sender, self._letters = server, sender, letters
        context = server.context()
        self._connections = Connections(lambda: server.client(context), server.connections)
        self._addresses = Addresses()

    async def send(self, notice: Notice) -> None:
        if notice.recipient is None:
            raise Poison("no contact is known")
        try:
            recipient = deliverable(notice.recipient)
        except UnicodeError as error:
            raise Poison(
                f"the host of {masked(notice.recipient)} cannot be written in ASCII: {error}"
            ) from error
        message = mail(
            self._letters.render(notice.event, notice.language),
            message_id=notice.message_id,
            order_id=notice.event.order_id,
            sender=self._sender,
            recipient=recipient,
            now=datetime.now(UTC),
        )
        async with self._addresses.turn(recipient), self._connections.room():
            await self._deliver(message, recipient)

    async def close(self) -> None:
        """Close the connections that are not in use."""
        await self._connections.close()

    async def _deliver(self, message: EmailMessage, recipient: str) -> None:
        where = f"{self._server.host}:{self._server.port}"
        try:
            async with asyncio.timeout(self._server.timeout):
                connection = await self._connections.ready()
        except (SMTPException, OSError) as error:
            raise Retryable(f"no connection to {where}: {self._said(error, recipient)}") from None
        try:
            async with asyncio.timeout(self._server.timeout):
                await connection.client.send_message(
                    message, sender=self._sender.addr_spec, recipients=[recipient]
                )
        except TimeoutError:
            connection.client.close()
            raise Unanswered(
                f"{where} did not answer about a mail to {masked(recipient)} for {self._server.timeout:g} s"
            ) from None
        except (SMTPResponseException, SMTPRecipientsRefused, SMTPNotSupported, ValueError) as error:
            self._connections.give_back(connection)
            said = f"{where}: {self._said(error, recipient)}"
            raise (Poison(said) if _is_final(error) else Retryable(said)) from None
        except (SMTPException, OSError) as error:
            connection.client.close()
            raise Retryable(f"{where}: {self._said(error, recipient)}") from None
        except BaseException:  # cancelled: nobody knows where this conversation stands
            connection.client.close()
            raise
        self._connections.give_back(connection)

    def _said(self, error: Exception, recipient: str) -> str:
        """What the server answered, on one line: without the address, which logs must not show, and any secret that
        a server might say back."""
        answer = _answer(error)
        said = f"{answer[0]} {answer[1]}" if answer else f"{type(error).__name__}: {error}"
        said = said.replace(recipient, masked(recipient))
        if self._server.password:
            for secret in _forms(self._server.user or "", self._server.password):
                said = said.replace(secret, "…")
        return on_one_line(said)[:MAX_REASON]


def _answer(error: Exception) -> tuple[int, str] | None:
    """The server's answer, as its code and its text; None if it gave none."""
    if isinstance(error, SMTPRecipientsRefused) and error.recipients:
        return error.recipients[0].code, error.recipients[0].message
    if isinstance(error, SMTPResponseException):
        return error.code, error.message
    return None


def _is_final(error: Exception) -> bool:
    """Whether the server will say the same to this mail each time."""
    if isinstance(error, SMTPSenderRefused):
        return error.code == TOO_LARGE
    if answer := _answer(error):
        return 500 <= answer[0] < 600 and answer[0] not in (*OF_THE_ACCOUNT, *OF_THE_CONNECTION)
    # An address in letters that the server cannot take, or that the client takes for none.
    return isinstance(error, SMTPNotSupported | ValueError)


def _forms(user: str, password: str) -> tuple[str, ...]:
    """A password as it is, and as the mechanisms PLAIN and LOGIN send it."""
    plain = b64encode(f"\0{user}\0{password}".encode()).decode()
    return password, b64encode(password.encode()).decode(), plain
