"""Text that others wrote, made safe to show: what a terminal would obey, and what would forge a line, can be seen.

Keys, headers, reasons and the texts of errors come from records that anybody may have written. Shown as they are, an
escape sequence (ECMA-48; OSC 52 writes to the clipboard) moves the cursor, renames the window or hides text, a line
break forges a line of the log, and a bidirectional control (Unicode TR 36) shows a key as another one.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

INDENT = "    "


def visible(text: str, *, lines: bool = False) -> str:
    """``text`` with all that has no glyph (``str.isprintable``) as Python writes it: ``\\x1b``, ``\\n``, ``\\u202e``.

    With ``lines``, line breaks stay. It is for reading and cannot be undone, since backslashes are left alone.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or (lines and c == "\n") else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def visible_json(value: object, indent: int | None = 2) -> str:
    """``value`` as JSON for programs and people: indented, or (None) one line, with nothing that a terminal obeys.

    JSON itself escapes the first 32 characters only: what else has no glyph is written as JSON's ``\\uXXXX`` too.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


class VisibleFormatter(logging.Formatter):
    """A log line is one line, whatever was logged; a traceback is indented, so that none of it passes for one."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return visible(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        return _indented(super().formatStack(stack_info))


def _indented(text: str) -> str:
    return "\n".join(INDENT + line for line in visible(text, lines=True).split("\n"))


def log_visibly(level: str, name: str) -> None:
    """Have the process log to standard error, as the service or tool ``name``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(VisibleFormatter(f"%(asctime)s %(levelname)s {name} %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
