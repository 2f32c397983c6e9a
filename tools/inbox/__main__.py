"""``python -m tools.inbox``: an SMTP server that takes every mail and delivers none, and the page that shows them."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tools.inbox.pages import application
from tools.inbox.store import Store

HOST = "127.0.0.1"


class InboxSettings(BaseSettings):
    """From environment variables that start with ``INBOX_``."""

    model_config = SettingsConfigDict(env_prefix="INBOX_", frozen=True)

    smtp_port: int = Field(default=8096, description="where mails are taken")
    port: int = Field(default=8097, description="where the page is")
    directory: Path = Field(default=Path(".run/mail"), description="where mails are kept, one file each")


class Handler:
    """Keeps what aiosmtpd reads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        if not isinstance(content, bytes):
            return "451 4.3.0 the mail could not be read"
        self._store.add(list(envelope.rcpt_tos), content)
        return "250 2.0.0 caught"


async def serve(settings: InboxSettings) -> None:
    """Until SIGTERM or SIGINT."""
    store = Store(settings.directory)
    runner = web.AppRunner(application(store), access_log=None)
    await runner.setup()
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    smtp = await loop.create_server(
        lambda: SMTP(Handler(store), enable_SMTPUTF8=True, hostname="inbox"), HOST, settings.smtp_port
    )
    async with smtp:
        await web.TCPSite(runner, HOST, settings.port).start()
        print(f"mails to {HOST}:{settings.smtp_port} are shown at http://{HOST}:{settings.port}", flush=True)
        await stopping.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(InboxSettings()))
