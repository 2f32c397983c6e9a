"""The version of a message: ``OrderCreated.v2`` is 2.0, ``OrderCreated.v2.1`` the first minor version after it.

Within a major version, old and new code read each other (FULL_TRANSITIVE): fields with defaults come or go. Today's
code reads every major version (BACKWARD_TRANSITIVE); older code need not read a newer one.
Source: Avro 1.11 "Schema Resolution"; Confluent "Schema Evolution and Compatibility".
"""

from __future__ import annotations

import re
from typing import NamedTuple

FORM = re.compile(r"(\w+)\.v([1-9][0-9]*)(?:\.([1-9][0-9]*))?", re.ASCII)


class Version(NamedTuple):
    """One version of one message. Versions of a message compare by their numbers."""

    name: str
    major: int
    minor: int = 0

    @classmethod
    def parse(cls, text: str) -> Version:
        """The version that ``OrderCreated.v2.1`` names. Raises ValueError."""
        if not (match := FORM.fullmatch(text)):
            raise ValueError(
                f"{text!r} is no version of a message: write <Name>.v<MAJOR> or <Name>.v<MAJOR>.<MINOR>"
            )
        return cls(match[1], int(match[2]), int(match[3] or 0))

    @property
    def number(self) -> str:
        """``2.0`` or ``2.1``: what a field ``version`` of the body holds."""
        return f"{self.major}.{self.minor}"

    def __str__(self) -> str:
        return f"{self.name}.v{self.major}{f'.{self.minor}' if self.minor else ''}"
