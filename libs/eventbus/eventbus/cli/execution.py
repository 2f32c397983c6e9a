"""Redrive and discard: the dry run, which asks a replica, and the real one, which waits for what comes of it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eventbus.admin import Discard, Redrive
from eventbus.cli.ending import CommandError, Exit
from eventbus.cli.index import DeadLetterIndex, ParkedKey
from eventbus.cli.options import URLS
from eventbus.cli.reader import Part, TopicReader
from eventbus.cli.result import BUSY, DONE, UNFINISHED, KeyResult, Row
from eventbus.model.places import Position
from eventbus.retry.parked import Parked, State
from eventbus.retry.preview import previews

PATIENCE = 5.0
"""Seconds for which a replica may be behind what the topics say."""
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def wish_for(action: str, queue: ParkedKey, count: int | None) -> Redrive | Discard:
    """The command for one key."""
    if action == "redrive":
        return Redrive(message_key=queue.key, log=queue.log)
    return Discard(message_key=queue.key, log=queue.log, count=count)


def paced(queues: Sequence[ParkedKey], rate: float | None) -> Iterator[ParkedKey]:
    """The queues, ``rate`` of them a second at most."""
    began = time.monotonic()
    for index, queue in enumerate(queues):
        if rate:
            time.sleep(max(0.0, began + index / rate - time.monotonic()))
        yield queue


class DryRunClient:
    """The dry run. ``urls`` says where a replica of each service answers."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = urls

    def result(self, action: str, queue: ParkedKey, count: int | None) -> KeyResult:
        """What would become of a key now. Raises Trouble if no replica answers."""
        expected = [item.coordinates for item in queue.items]
        until = time.monotonic() + PATIENCE
        while True:
            told = self._ask(action, queue, count)
            rows = tuple(Row.parse(row) for row in told["messages"])
            if [row.coordinates for row in rows][: len(expected)] == expected:
                return KeyResult(queue, DONE, rows)
            if time.monotonic() > until:
                return KeyResult(
                    queue, DONE, rows, "the replica knows of other messages than the topics held"
                )
            time.sleep(0.1)

    def _ask(self, action: str, queue: ParkedKey, count: int | None) -> dict[str, Any]:
        base = self._urls.get(queue.service)
        hint = f"--url {queue.service}=http://host:port, or in {URLS}"
        if base is None:
            raise CommandError(
                Exit.USAGE, f"A dry run asks a replica of {queue.service}: say where one is, with {hint}."
            )
        query = {"key": queue.key, "log": queue.log, "action": action, **({"count": count} if count else {})}
        try:
            with _opener.open(f"{base}/dlq/preview?{urllib.parse.urlencode(query)}", timeout=10) as answer:
                told: dict[str, Any] = json.load(answer)
                return told
        except urllib.error.HTTPError as error:
            raise CommandError(
                Exit.AWAY, f"{queue.service} at {base} answers the dry run with {error.code} {error.reason}."
            ) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise CommandError(
                Exit.AWAY,
                f"No replica of {queue.service} answers at {base} ({reason}): name one, with {hint}.",
            ) from error


@dataclass
class Sent:
    """A command on its way. ``upto``: where its retry partition ended once the service had taken it."""

    queue: ParkedKey
    place: Position
    upto: int | None = None


class Execution:
    """The real run: commands for each key, and what the retry topics say of it afterwards."""

    def __init__(self, topics: TopicReader, board: DeadLetterIndex) -> None:
        self._topics, self._board, self._sent = topics, board, list[Sent]()

    def send(self, action: str, queue: ParkedKey, count: int | None) -> None:
        """Tell the service."""
        self._sent.append(Sent(queue, self._topics.send(queue.service, wish_for(action, queue, count))))

    def results(self, wait: float) -> list[KeyResult]:
        """What became of each key; waits for it, ``wait`` seconds at most."""
        until = time.monotonic() + wait
        while True:
            self._look()
            if all(self._is_over(sent) for sent in self._sent) or time.monotonic() > until:
                return [self._result(sent) for sent in self._sent]
            time.sleep(0.05)

    def _look(self) -> None:
        """Who has taken his command? Only then: what do the retry topics say?"""
        waiting = [sent for sent in self._sent if not self._is_over(sent)]
        for service in {sent.queue.service for sent in waiting}:
            asked = [sent for sent in waiting if sent.queue.service == service]
            places = {(sent.place.topic, sent.place.partition) for sent in asked if sent.upto is None}
            committed = self._topics.committed(service, places) if places else {}
            ends: dict[Part, int] = {}
            for sent in asked:
                if committed.get((sent.place.topic, sent.place.partition), -1) > sent.place.offset:
                    part = self._retry(sent)
                    ends[part] = ends[part] if part in ends else self._topics.written(part)
                    sent.upto = ends[part]
            self._topics.read({self._retry(sent) for sent in asked}, self._board.take)

    def _retry(self, sent: Sent) -> Part:
        return f"{sent.queue.service}.retry", sent.place.partition

    def _after(self, sent: Sent) -> dict[str, Parked]:
        """How the messages that have a newer record than before stand now."""
        found = {}
        for item in sent.queue.items:
            now = self._board.item(item.service, item.coordinates)
            if now is not None and now.word > item.word:
                found[item.coordinates] = now.parked
        return found

    def _is_over(self, sent: Sent) -> bool:
        after = self._after(sent)
        if not after:
            return self._was_ignored(sent)
        now = [after.get(item.coordinates, item.parked) for item in sent.queue.items]
        first = next((parked for parked in now if parked.state.open), None)
        return first is None or first.state is State.DEAD

    def _was_ignored(self, sent: Sent) -> bool:
        """The service has taken the command, and its transaction said nothing of the key."""
        return sent.upto is not None and self._topics.position(self._retry(sent)) >= sent.upto

    def _result(self, sent: Sent) -> KeyResult:
        after = self._after(sent)
        rows = tuple(
            Row(
                fate.before.raw.coordinates,
                item.type,
                fate.verdict,
                fate.after.state.value,
                fate.after.events,
                f"{fate.after.exception}: {fate.after.message}"
                if fate.after.exception and fate.after.state.open
                else "",
            )
            for item, fate in zip(
                sent.queue.items, previews([i.parked for i in sent.queue.items], after), strict=True
            )
        )
        if not after and self._was_ignored(sent):
            return KeyResult(
                sent.queue, BUSY, rows, "a call for this key is under way: nothing was changed, try again"
            )
        if not self._is_over(sent):
            taken = sent.upto is not None or after
            note = (
                "still under way"
                if taken
                else f"no replica of {sent.queue.service} has taken the command yet"
            )
            return KeyResult(sent.queue, UNFINISHED, rows, note)
        return KeyResult(sent.queue, DONE, rows)
