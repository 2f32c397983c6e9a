"""How messages reach a customer: the protocol of a channel, and the default channel."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol

from eventbus import Retryable
from schemas.address import masked
from services.notification.line_file import LineFile
from services.notification.request import Input
from services.notification.text import on_one_line, sentence

log = logging.getLogger("notification")


@dataclass(frozen=True)
class Notice:
    """One message to a customer. A repeat after a crash carries the same ``message_id``."""

    message_id: str
    event: Input
    recipient: str | None
    """An e-mail address."""
    language: str | None
    """The language the customer asked for, a BCP 47 tag."""


class Channel(Protocol):
    """Delivers notices. Raises Retryable if the delivery may work later, Poison if it never will."""

    name: str
    needs_contact: bool

    async def send(self, notice: Notice) -> None: ...


class LogChannel:
    """Writes one readable line for each notice to the log, and appends it to ``file`` if there is one.

    Addresses are masked in the log, since many people may read it. The file holds them in full.
    """

    name = "log"
    needs_contact = False

    def __init__(self, file: LineFile | None = None) -> None:
        self._file = file

    async def send(self, notice: Notice) -> None:
        log.info("%s", _line(notice, masked(notice.recipient) if notice.recipient else None))
        if self._file is not None:
            try:
                self._file.append(_line(notice, notice.recipient))
            except OSError as error:
                raise Retryable(f"cannot write to {self._file.path}: {error}") from error


def _line(notice: Notice, recipient: str | None) -> str:
    return on_one_line(f"[{notice.message_id}] to {recipient or 'the customer'}: {sentence(notice.event)}")
