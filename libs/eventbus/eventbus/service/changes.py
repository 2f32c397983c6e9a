"""Who is told, on the event loop, that events are folded here: nobody asks again and again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from eventbus.model.messages import Envelope
from eventbus.model.places import Entity

Told = Callable[[], None]


class Changes:
    """The processor calls :meth:`folded` from its thread, everybody else calls from the event loop.

    The loop is woken only for an event whose key, or whose log, somebody watches.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        """Held while the processor looks who watches, and while somebody begins or ends to."""
        self._watched: dict[Entity | str, dict[Told, None]] = {}
        """By key of a log, or by log: who is told."""
        self.ended = False
        """Whether this replica stops: nothing more will be told."""

    def folded(self, events: Sequence[Envelope]) -> None:
        """These events are in the store now."""
        if not self._watched:
            return
        touched: dict[Entity | str, None] = {}
        with self._lock:
            for event in events:
                for watched in (Entity(event.topic, event.message.key), event.topic):
                    if watched in self._watched:
                        touched[watched] = None
        if touched:
            self._loop.call_soon_threadsafe(self._tell, touched)

    @contextmanager
    def watch(self, watched: Entity | str, told: Told) -> Iterator[None]:
        """Within it ``told`` is called after events of a key, or of any key of a log, were folded.

        Who reads after this began misses nothing: an event is in the store before it is told. Events that come one
        after the other may be told once. ``told`` is also called when this replica stops.
        """
        with self._lock:
            self._watched.setdefault(watched, {})[told] = None
        try:
            yield
        finally:
            with self._lock:
                tellers = self._watched[watched]
                del tellers[told]
                if not tellers:
                    del self._watched[watched]

    def end(self) -> None:
        """This replica stops: have everybody look once more, and wait for nothing."""
        self.ended = True
        self._tell(tuple(self._watched))

    def _tell(self, touched: Sequence[Entity | str] | dict[Entity | str, None]) -> None:
        for watched in touched:
            for told in self._watched.get(watched, ()):
                self._loop.call_soon(told)  # one that fails fails alone
