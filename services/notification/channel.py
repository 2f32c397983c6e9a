"""The ways to a customer: a protocol, the channel that is there by default, and the reactor's call."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from eventbus import Outcome, Request, Retryable
from services.notification.decider import Delivered, NoContact, Notify
from services.notification.text import sentence

log = logging.getLogger("notification")


@dataclass(frozen=True)
class Notice:
    """One message to a customer. A repeat after a crash carries the same ``message_id``."""

    message_id: str
    order_id: str
    kind: str
    recipient: str | None
    text: str


class Channel(Protocol):
    """Carries notices. A delivery that may work later raises Retryable, one that never will raises Poison."""

    name: str
    needs_contact: bool

    async def send(self, notice: Notice) -> None: ...


class LogChannel:
    """Writes one readable line for each notice to the log, and appends it to ``file`` if there is one."""

    name = "log"
    needs_contact = False

    def __init__(self, file: Path | None = None) -> None:
        self._file = file

    async def send(self, notice: Notice) -> None:
        line = f"[{notice.message_id}] to {notice.recipient or 'the customer'}: {notice.text}"
        log.info("%s", line)
        if self._file is not None:
            try:
                append(self._file, line)
            except OSError as error:
                raise Retryable(f"cannot write to {self._file}: {error}") from error


def append(file: Path, line: str) -> None:
    """One write in append mode, so that the lines of several replicas never mix."""
    data = f"{line}\n".encode()
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    try:
        descriptor = os.open(file, flags, 0o644)
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, flags, 0o644)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


class Messenger:
    """The reactor's ``call``: puts an event into words and hands it to the channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def call(self, request: Request) -> Outcome:
        """Answer a Notify."""
        if not isinstance(request, Notify):
            raise TypeError(f"notification makes no such request: {request!r}")
        if self._channel.needs_contact and request.recipient is None:
            return NoContact(request, self._channel.name)
        event = request.event
        await self._channel.send(
            Notice(request.message_id, event.order_id, event.name, request.recipient, sentence(event))
        )
        return Delivered(request, self._channel.name)
