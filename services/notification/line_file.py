"""A file of bounded size that several processes append lines to."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

PRIVATE = 0o600
"""The lines hold addresses."""


@dataclass
class LineFile:
    """Before ``path`` grows past ``max_bytes`` it becomes ``path.1``, the old ``path.1`` becomes ``path.2``, and so
    on: at most ``kept`` older files are left.

    A line is one write in append mode, so lines of several processes never mix. The file stays open. Before each line
    it is compared with what stands at ``path`` now: a process that did so just before a rename writes to the end of
    ``path.1``, and no line is lost. A process that renames holds a lock on ``path.lock`` and checks the size again,
    so that a full file is renamed once. No process waits for that lock, since its holder may be frozen: then the file
    grows longer for a while. ``logging.handlers.RotatingFileHandler`` guarantees none of this among processes.
    """

    path: Path
    max_bytes: int
    kept: int
    _open: tuple[FileIO, os.stat_result] | None = field(default=None, init=False, repr=False, compare=False)
    """The file that lines go to, and what it was when it was opened."""

    def append(self, line: str) -> None:
        """Append one line. Raises OSError."""
        data = f"{line}\n".encode()
        standing = self._standing()
        if self._full(standing, len(data)):
            with self._locked() as mine:
                if mine and self._full(self._standing(), len(data)):
                    self._rotate()
            standing = self._standing()
        self._file(standing).write(data)

    def _standing(self) -> os.stat_result | None:
        """What stands at ``path`` now; None if nothing does."""
        try:
            return os.stat(self.path)
        except FileNotFoundError:
            return None

    def _full(self, standing: os.stat_result | None, more: int) -> bool:
        return standing is not None and standing.st_size > 0 and standing.st_size + more > self.max_bytes

    def _file(self, standing: os.stat_result | None) -> FileIO:
        """The file at ``path``, opened anew if it is another one by now, or readable for others."""
        if self._open and standing:
            file, opened = self._open
            if os.path.samestat(opened, standing) and not standing.st_mode & 0o077:
                return file
        self._open = None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = FileIO(str(self.path), "ab", opener=lambda path, flags: os.open(path, flags, PRIVATE))
        opened = os.fstat(file.fileno())
        if opened.st_mode & 0o077:
            os.fchmod(file.fileno(), PRIVATE)  # written by a release that let everybody read it
        self._open = file, opened
        return file

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
