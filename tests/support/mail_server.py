"""A real SMTP server as a process, whose behaviour a test changes while it runs.

``python -m tests.support.mail_server <directory>``: what it does stands in ``behaviour.json`` and is read for each
mail; what it took stands in ``mails.jsonl``, a line a mail, written before it answers.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.processes import ServiceProcess, python
from tests.support.waiting import eventually
from tools.stack.ports import free_port

FOREVER = 3600
USER, PASSWORD = "ann", "correct horse"


class Handler:
    """``delay`` seconds before each text is taken; ``rcpt``, ``data``, ``mail`` replies in place of 250; ``refused``
    addresses with their replies; ``hung`` addresses that are never answered; ``greylist`` the first try of each."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._seen = directory, set[str]()

    def _now(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self._directory / "behaviour.json").read_text())
        return found

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return str(self._now().get("mail", "250 OK"))

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        now = self._now()
        if address in now.get("hung", ()):
            await asyncio.sleep(FOREVER)
        if refused := now.get("refused", {}).get(address):
            return str(refused)
        if now.get("greylist") and address not in self._seen:
            self._seen.add(address)
            return "451 4.7.1 greylisted, try again"
        envelope.rcpt_tos.append(address)
        return str(now.get("rcpt", "250 OK"))

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        now = self._now()
        await asyncio.sleep(now.get("delay", 0))
        if "data" in now:
            return str(now["data"])
        content = envelope.content
        assert isinstance(content, bytes)
        peer = {"pid": os.getpid(), "peer": str(session.peer), "tls": session.ssl is not None}
        line = {"to": envelope.rcpt_tos, "mail": content.decode("utf-8"), **peer}
        with (self._directory / "mails.jsonl").open("ab", buffering=0) as file:
            file.write(json.dumps(line).encode() + b"\n")
        return "250 taken"


def _authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    print(f"somebody tried {mechanism}", flush=True)
    right = isinstance(data, LoginPassword) and data == LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=right, message=None if right else f"535 not {data}")


async def _serve(directory: Path, port: int, mode: str) -> None:
    context = None
    if mode != "plain":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(directory / "server.pem")
    handler = Handler(directory)

    def protocol() -> SMTP:
        # Behind smtps:// aiosmtpd does not know that the socket below it has TLS.
        return SMTP(
            handler,
            enable_SMTPUTF8=True,
            timeout=120,
            hostname="mail.test",
            tls_context=context if mode == "starttls" else None,
            require_starttls=mode == "starttls",
            auth_required=mode != "plain",
            auth_require_tls=mode == "starttls",
            authenticator=_authenticate if mode != "plain" else None,
        )

    tls = context if mode == "smtps" else None
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port, ssl=tls)
    (directory / "listening").touch()
    await server.serve_forever()


class MailServer:
    """The server of a test. ``mode``: ``plain``, or ``starttls`` or ``smtps``, which want a user and a password."""

    def __init__(self, directory: Path, mode: str = "plain") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.mode, self.port = directory, mode, free_port()
        self.ca = directory / "ca.pem"
        if mode != "plain":
            authority = trustme.CA()
            authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(
                str(directory / "server.pem")
            )
            authority.cert_pem.write_to_path(str(self.ca))
        self.behave()
        command = [*python("tests.support.mail_server"), str(directory), str(self.port), mode]
        self.process = ServiceProcess("mail", command, {}, self.port, directory / "mail.log")

    def start(self) -> MailServer:
        """Start it, again or for the first time; returns once it listens."""
        (self.directory / "listening").unlink(missing_ok=True)
        self.process.start()
        eventually((self.directory / "listening").exists, "the mail server listens")
        return self

    def behave(self, **behaviour: Any) -> None:
        """What it does from the next command on."""
        new = self.directory / "behaviour.new"
        new.write_text(json.dumps(behaviour))
        new.replace(self.directory / "behaviour.json")

    def lines(self) -> list[dict[str, Any]]:
        """What it took, in order: ``to``, ``mail``, ``peer``, ``tls``."""
        file = self.directory / "mails.jsonl"
        # A server that was killed while it wrote may leave half a line; the next one begins where that ends.
        text = file.read_text() if file.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def mails(self) -> list[EmailMessage]:
        """What it took, parsed."""
        return [message_from_bytes(line["mail"].encode(), policy=default) for line in self.lines()]


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
