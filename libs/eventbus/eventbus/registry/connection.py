"""A service's connection to a registry: it waits for the ids at the start, and looks up unknown ones later.

Both are called by the thread of the processor; the requests run on the event loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from eventbus.model.errors import EventBusError, Retryable
from eventbus.model.versions import Version
from eventbus.registry.agreement import Entry, agree, entries
from eventbus.registry.api import RegistryApi
from eventbus.schema_package import SchemaPackage
from eventbus.settings import RegistrySettings
from eventbus.wire_format import canonical_form

log = logging.getLogger("eventbus.registry")
T = TypeVar("T")

LOOK_UP = 1.0
"""Seconds that one look-up may hold up the processor, and after which none is begun for a while."""
PAUSE = 10.0
"""Seconds without look-ups after one that had no answer; and after so long that look-ups took ``LOOK_UP`` in all."""
KEPT = 1_000
"""Ids that are remembered as nobody's here, each for ``FORGET`` seconds."""
FORGET = 60.0


class SchemaRegistry:
    """One registry, for the schema packages of one process."""

    def __init__(
        self,
        settings: RegistrySettings,
        packages: Iterable[SchemaPackage],
        loop: asyncio.AbstractEventLoop,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises Misconfigured if the settings cannot be used."""
        self._settings, self._loop, self._monotonic = settings, loop, monotonic
        self._api = RegistryApi(settings)
        self._entries = entries(packages)
        self._by_form = _by_form(self._entries)
        self._unknown: dict[int, float] = {}
        self._spent, self._spending_since = 0.0, 0.0
        self._quiet_until = 0.0

    def wait_for_ids(
        self, stopping: threading.Event, tell: Callable[[str], None]
    ) -> dict[Version, int] | None:
        """The ids to write under, once the registry has answered; None if ``stopping`` is set before that.

        ``tell`` is given what is waited for, each time. Raises Misconfigured if registry and files contradict.
        """
        tell(f"waiting for the schema registry: {self._api.url}")
        while not stopping.is_set():
            wanted = agree(self._api, self._entries, may_register=self._settings.auto_register)
            try:
                return self._await(wanted, stopping)
            except Retryable as error:
                tell(f"waiting for the schema registry: {error}")
                log.warning("waiting for the schema registry: %s", error)
                stopping.wait(1.0)
        return None

    def find(self, schema_id: int) -> Version | None:
        """The version here that the registry has under an id; None if it is none of ours, or cannot be asked now.

        The event loop cannot ask: it would wait for itself.
        """
        if asyncio._get_running_loop() is self._loop:
            return None
        now = self._monotonic()
        if now < self._unknown.get(schema_id, 0.0) or not self._may_ask(now):
            return None
        future = asyncio.run_coroutine_threadsafe(self._api.schema(schema_id), self._loop)
        try:
            found = self._version_of(future.result(LOOK_UP))
        except (EventBusError, concurrent.futures.TimeoutError) as error:
            future.cancel()
            self._quiet_until = now + PAUSE
            log.warning(
                "the schema of id %d is not known here, and could not be asked for: %r", schema_id, error
            )
            return None
        finally:
            self._spent += self._monotonic() - now
        if found is None:
            while len(self._unknown) >= KEPT:
                del self._unknown[next(iter(self._unknown))]
            self._unknown[schema_id] = now + FORGET
        return found

    def close(self) -> None:
        """Close the connections. The event loop must still run."""
        closing = asyncio.run_coroutine_threadsafe(self._api.close(), self._loop)
        try:
            closing.result(LOOK_UP)
        except concurrent.futures.TimeoutError:
            pass  # the process ends

    def _await(self, wanted: Coroutine[Any, Any, T], stopping: threading.Event) -> T | None:
        future = asyncio.run_coroutine_threadsafe(wanted, self._loop)
        while not stopping.is_set():
            try:
                return future.result(0.2)
            except concurrent.futures.TimeoutError:
                if future.done():
                    return future.result()
        future.cancel()
        return None

    def _may_ask(self, now: float) -> bool:
        """Records with ever new ids must not keep the processor busy with asking."""
        if now >= self._spending_since + PAUSE:
            self._spent, self._spending_since = 0.0, now
        return now >= self._quiet_until and self._spent < LOOK_UP

    def _version_of(self, schema: str | None) -> Version | None:
        try:
            return None if schema is None else self._by_form.get(canonical_form(json.loads(schema)))
        except (ValueError, RecursionError):
            return None


def _by_form(known: Iterable[Entry]) -> dict[str, Version]:
    """The version that a form is. Two major versions may look alike, and then the form does not tell which it is."""
    found: dict[str, Version] = {}
    alike = set()
    for entry in known:
        if found.setdefault(entry.form, entry.version).major != entry.version.major:
            alike.add(entry.form)
    return {form: version for form, version in found.items() if form not in alike}
