"""A file of bounded size that several processes append lines to."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PRIVATE = 0o600
"""The lines hold addresses."""


@dataclass(frozen=True)
class LineFile:
    """Before ``path`` grows past ``max_bytes`` it becomes ``path.1``, the old ``path.1`` becomes ``path.2``, and so
    on: at most ``kept`` older files are left.

    A line is one write in append mode, so lines of several processes never mix. The file is opened for each line: a
    process that opened it just before a rename writes to the end of ``path.1``, and no line is lost. A process that
    renames holds a lock on ``path.lock`` and checks the size again, so that a full file is renamed once. No process
    waits for that lock, since its holder may be frozen: the file grows longer for a while instead.
    ``logging.handlers.RotatingFileHandler`` guarantees none of this among processes.
    """

    path: Path
    max_bytes: int
    kept: int

    def append(self, line: str) -> None:
        """Append one line. Raises OSError."""
        data = f"{line}\n".encode()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._full(len(data)):
            with self._locked() as mine:
                if mine and self._full(len(data)):
                    self._rotate()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, PRIVATE)
        try:
            if os.fstat(descriptor).st_mode & 0o077:
                os.fchmod(descriptor, PRIVATE)  # written by a release that let everybody read it
            os.write(descriptor, data)
        finally:
            os.close(descriptor)

    def _full(self, more: int) -> bool:
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return False
        return size > 0 and size + more > self.max_bytes

    def _rotate(self) -> None:
        for number in range(self.kept, 1, -1):
            if (older := self._numbered(number - 1)).exists():
                older.replace(self._numbered(number))
        self.path.replace(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """Hold the lock, if nobody else does; gives whether it is held."""
        lock = self.path.with_name(f"{self.path.name}.lock")
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT, PRIVATE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
        finally:
            os.close(descriptor)
