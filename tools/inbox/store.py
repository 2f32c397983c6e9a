"""The mails that were caught, one file each."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

KEPT = 1_000
"""Mails that are kept, the latest."""


@dataclass(frozen=True)
class Caught:
    """One mail. ``id``: it grows with each mail."""

    id: str
    recipients: tuple[str, ...]
    message: EmailMessage

    def header(self, name: str) -> str:
        """The text of a header; empty if there is none."""
        return str(self.message.get(name, ""))

    def part(self, kind: str) -> str:
        """The text of the part ``plain`` or ``html``; empty if there is none."""
        body = self.message.get_body((kind,))
        return str(body.get_content()) if body else ""


class Store:
    """A directory of ``<id>.eml`` files, as they came, with one line more before: ``X-Envelope-To``."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory

    def add(self, recipients: list[str], content: bytes) -> None:
        """Keep a mail; of too many, the oldest goes. Raises OSError."""
        path = self._directory / f"{time.time_ns()}.eml"
        draft = path.with_suffix(".new")
        draft.write_bytes(b"X-Envelope-To: " + ", ".join(recipients).encode() + b"\r\n" + content)
        draft.replace(path)
        for old in self._names()[KEPT:]:
            (self._directory / old).unlink(missing_ok=True)

    def latest(self, most: int) -> list[Caught]:
        """So many mails at most, the latest first."""
        found = (self.get(name.removesuffix(".eml")) for name in self._names()[:most])
        return [caught for caught in found if caught]

    def raw(self, id: str) -> bytes | None:
        """The file of a mail; None if there is none."""
        if not re.fullmatch("[0-9]+", id):
            return None
        try:
            return (self._directory / f"{id}.eml").read_bytes()
        except FileNotFoundError:
            return None

    def get(self, id: str) -> Caught | None:
        """One mail; None if there is none."""
        if (raw := self.raw(id)) is None:
            return None
        message = message_from_bytes(raw, EmailMessage, policy=default)
        return Caught(id, tuple(str(message.get("X-Envelope-To", "")).split(", ")), message)

    def _names(self) -> list[str]:
        """The latest first."""
        return sorted((path.name for path in self._directory.glob("*.eml")), reverse=True)
