"""Does a redrive or discard: a replica answers the dry run, the real one writes commands and awaits results."""

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
from eventbus.cli.key import KEY, credentials
from eventbus.cli.options import URLS
from eventbus.cli.reader import TopicReader
from eventbus.cli.result import BUSY, DONE, UNFINISHED, KeyResult, Row
from eventbus.cli.writer import CommandWriter
from eventbus.model.places import Partition, Position
from eventbus.retry.parked import Parked, State
from eventbus.retry.preview import previews

MAX_DELAY = 5.0
"""Seconds for which a replica may be behind the topics."""
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def command_for(action: str, key: ParkedKey, count: int | None) -> Redrive | Discard:
    """The command for one key."""
    if action == "redrive":
        return Redrive(message_key=key.key, log=key.log)
    return Discard(message_key=key.key, log=key.log, count=count)


def paced(parked_keys: Sequence[ParkedKey], rate: float | None) -> Iterator[ParkedKey]:
    """The keys, ``rate`` of them a second at most."""
    began = time.monotonic()
    for index, key in enumerate(parked_keys):
        if rate:
            time.sleep(max(0.0, began + index / rate - time.monotonic()))
        yield key


class DryRunClient:
    """Asks replicas for dry runs. ``urls``: by service, where a replica of it answers."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = urls

    def result(self, action: str, key: ParkedKey, count: int | None) -> KeyResult:
        """The effect that the action would have on a key now. Raises CommandError if no replica answers."""
        expected = [item.coordinates for item in key.items]
        until = time.monotonic() + MAX_DELAY
        while True:
            preview = self._ask(action, key, count)
            rows = tuple(Row.parse(row) for row in preview["messages"])
            if [row.coordinates for row in rows][: len(expected)] == expected:
                return KeyResult(key, DONE, rows)
            if time.monotonic() > until:
                return KeyResult(key, DONE, rows, "the replica knows of other messages than the topics held")
            time.sleep(0.1)

    def _ask(self, action: str, key: ParkedKey, count: int | None) -> dict[str, Any]:
        base = self._urls.get(key.service)
        hint = f"--url {key.service}=http://host:port, or in {URLS}"
        if base is None:
            raise CommandError(
                Exit.USAGE, f"A dry run asks a replica of {key.service}: say where one is, with {hint}."
            )
        query = {"key": key.key, "log": key.log, "action": action, **({"count": count} if count else {})}
        try:
            url = f"{base}/dlq/preview?{urllib.parse.urlencode(query)}"
            with _opener.open(urllib.request.Request(url, headers=credentials()), timeout=10) as answer:
                preview: dict[str, Any] = json.load(answer)
                return preview
        except urllib.error.HTTPError as error:
            needed = f": set {KEY} to a key with the scope admin" if error.code in (401, 403) else ""
            raise CommandError(
                Exit.AWAY,
                f"{key.service} at {base} answers the dry run with {error.code} {error.reason}{needed}.",
            ) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise CommandError(
                Exit.AWAY,
                f"No replica of {key.service} answers at {base} ({reason}): name one, with {hint}.",
            ) from error


@dataclass
class SentCommand:
    """A command that was written. ``end``: the end of its retry partition once the service had decided it."""

    key: ParkedKey
    position: Position
    end: int | None = None


class Execution:
    """Writes a command for each key, and reads the results from the retry topics."""

    def __init__(self, topics: TopicReader, writer: CommandWriter, index: DeadLetterIndex) -> None:
        self._topics, self._writer, self._index = topics, writer, index
        self._sent: list[SentCommand] = []

    def send(self, action: str, key: ParkedKey, count: int | None) -> None:
        """Write the command for one key; returns once it is durable."""
        partition = self._topics.admin_partition(key.service, key.key)
        position = self._writer.send(partition, command_for(action, key, count), "/eventbus/dlq")
        self._sent.append(SentCommand(key, position))

    def results(self, wait: float) -> list[KeyResult]:
        """The result for each key; waits for it, ``wait`` seconds at most."""
        until = time.monotonic() + wait
        while True:
            self._update()
            if all(self._is_finished(sent) for sent in self._sent) or time.monotonic() > until:
                return [self._result(sent) for sent in self._sent]
            time.sleep(0.05)

    def _update(self) -> None:
        """Ask which commands are decided, then read the retry topics: a result is committed with its decision."""
        waiting = [sent for sent in self._sent if not self._is_finished(sent)]
        for service in {sent.key.service for sent in waiting}:
            asked = [sent for sent in waiting if sent.key.service == service]
            inputs = {_input(sent) for sent in asked if sent.end is None}
            committed = self._topics.committed(service, inputs) if inputs else {}
            ends: dict[Partition, int] = {}
            for sent in asked:
                if committed.get(_input(sent), -1) > sent.position.offset:
                    retry = self._retry(sent)
                    ends[retry] = ends[retry] if retry in ends else self._topics.end(retry)
                    sent.end = ends[retry]
            self._topics.read({self._retry(sent) for sent in asked}, self._index.fold)

    def _retry(self, sent: SentCommand) -> Partition:
        return Partition(f"{sent.key.service}.retry", sent.position.partition)

    def _after(self, sent: SentCommand) -> dict[str, Parked]:
        """By coordinates, the state of the messages that have a newer record than before."""
        found = {}
        for item in sent.key.items:
            now = self._index.item(item.service, item.coordinates)
            if now is not None and now.revision > item.revision:
                found[item.coordinates] = now.parked
        return found

    def _is_finished(self, sent: SentCommand) -> bool:
        after = self._after(sent)
        if not after:
            return self._was_ignored(sent)
        now = [after.get(item.coordinates, item.parked) for item in sent.key.items]
        first = next((parked for parked in now if parked.state.open), None)
        return first is None or first.state is State.DEAD

    def _was_ignored(self, sent: SentCommand) -> bool:
        """Whether the service has decided the command without a record about the key."""
        return sent.end is not None and self._topics.read_up_to(self._retry(sent)) >= sent.end

    def _result(self, sent: SentCommand) -> KeyResult:
        after = self._after(sent)
        rows = tuple(
            Row(
                preview.before.raw.coordinates,
                item.type,
                preview.effect,
                preview.after.state.value,
                preview.after.events,
                f"{preview.after.exception}: {preview.after.message}"
                if preview.after.exception and preview.after.state.open
                else "",
            )
            for item, preview in zip(
                sent.key.items, previews([i.parked for i in sent.key.items], after), strict=True
            )
        )
        if not after and self._was_ignored(sent):
            return KeyResult(
                sent.key, BUSY, rows, "a call for this key is under way: nothing was changed, try again"
            )
        if not self._is_finished(sent):
            was_decided = sent.end is not None or after
            note = (
                "still under way"
                if was_decided
                else f"no replica of {sent.key.service} has taken the command yet"
            )
            return KeyResult(sent.key, UNFINISHED, rows, note)
        return KeyResult(sent.key, DONE, rows)


def _input(sent: SentCommand) -> Partition:
    return Partition(sent.position.topic, sent.position.partition)
