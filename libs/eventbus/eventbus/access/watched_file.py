"""A file that is read again when it has changed, and whose last good content serves while it is broken."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from eventbus.access.api_keys import BrokenFile
from eventbus.metrics import ACCESS_BROKEN
from eventbus.model.errors import Misconfigured

log = logging.getLogger("eventbus.access")
T = TypeVar("T")
MAX_FILE = 16_000_000
"""Bytes of a file."""
Seen = tuple[int, int, int] | None


class WatchedFile(Generic[T]):
    """``setting``: the name of the setting that names the file. ``parse`` raises BrokenFile."""

    def __init__(self, setting: str, path: Path, parse: Callable[[bytes], T]) -> None:
        """Read the file. Raises Misconfigured if it cannot be used."""
        self._setting, self._path, self._parse = setting, path, parse
        self.generation = 0
        """How often the content was replaced."""
        self._seen = self._used = self._look()
        try:
            self.value = self._read()
        except BrokenFile as error:
            raise Misconfigured(f"{setting}: {path}, {error}") from error
        ACCESS_BROKEN.labels(setting).set(0)

    def look(self) -> None:
        """Read the file again if it has changed, once it is the same as at the look before: nobody writes it then."""
        now = self._look()
        is_settled, self._seen = now == self._seen, now
        if not is_settled or now == self._used:
            return
        self._used = now
        try:
            self.value = self._read()
        except BrokenFile as error:
            ACCESS_BROKEN.labels(self._setting).set(1)
            log.error("%s: %s, %s; what it said before stays in force", self._setting, self._path, error)
            return
        self.generation += 1
        ACCESS_BROKEN.labels(self._setting).set(0)
        log.info("%s: %s has changed and is in force", self._setting, self._path)

    def _look(self) -> Seen:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> T:
        try:
            with self._path.open("rb") as file:
                content = file.read(MAX_FILE + 1)
        except OSError as error:
            raise BrokenFile(f"it cannot be read: {error.strerror}") from error
        if len(content) > MAX_FILE:
            raise BrokenFile(f"it has more than {MAX_FILE} bytes")
        return self._parse(content)
