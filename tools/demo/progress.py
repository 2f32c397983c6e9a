"""Progress on one line that renews itself on a terminal, and on a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO


class Progress:
    """``show`` as often as you like: what comes too soon is left out."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out, self._tty = out, out.isatty()
        self._pause = 0.1 if self._tty else 5.0
        self._shown = time.monotonic() if not self._tty else 0.0
        self._latest = ""

    def show(self, text: str) -> None:
        """The state of things, in a few words."""
        self._latest = text
        if time.monotonic() - self._shown >= self._pause:
            self._write()

    def end(self) -> None:
        """The last word stays on a terminal; elsewhere it is of no more use."""
        if self._tty and self._latest:
            self._write()
            self._out.write("\n")
        self._latest = ""

    def _write(self) -> None:
        self._shown = time.monotonic()
        self._out.write(f"\r\x1b[K{self._latest}" if self._tty else f"{self._latest}\n")
        self._out.flush()
