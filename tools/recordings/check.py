"""Whether the recordings of a log hold, and how a new one is made."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator

from eventbus.codec import Codec
from tools.recordings.fold import Unreadable, folded
from tools.recordings.recording import Json, Log, completed, digest

RECORD = "`python -m tools.recordings --record`"
MOST_LINES = 12
"""Of a difference, so many lines are shown."""


def problems(log: Log) -> list[str]:
    """What is wrong with the recordings of one log, each with what to do; empty if they hold."""
    return [*_broken(log, Codec(*log.packages)), *_missing(log)]


def record(log: Log) -> list[str]:
    """Record all events for a new fold version, then complete and pin the drafts. Returns what was written.

    Raises ValueError, and writes nothing, if a recording does not hold, or a draft is none.
    """
    codec = Codec(*log.packages)
    if broken := list(_broken(log, codec)):
        raise ValueError("\n".join(broken))
    version, pins = log.decider.fold_version, log.pins()
    drafts = {number: completed_draft(log, number) for number in log.numbers() if number not in pins}
    pinned = {number: log.load(number) for number in pins}
    recorded = [one["foldVersion"] for one in pinned.values()]
    new = dict(drafts)
    if pinned and version not in recorded:
        last = [one["events"] for one in pinned.values() if one["foldVersion"] == max(recorded)]
        new |= dict(enumerate(last, max(log.numbers()) + 1))
    made = {}
    for number, events in new.items():
        try:
            result = folded(log, codec, events)
        except Unreadable as error:
            raise ValueError(f"{log.path(number)}: {error}") from error
        made[number] = {"log": log.name, "foldVersion": version, "events": events, **result}
    for number, recording in made.items():
        log.save(number, recording)
    return [f"{log.path(number)}: recorded as fold version {version}" for number in made]


def completed_draft(log: Log, number: int) -> list[Json]:
    """The events of a draft, complete. Raises ValueError with the file's name."""
    try:
        return completed(log, log.load(number)["events"])
    except (KeyError, TypeError):
        raise ValueError(f'{log.path(number)} has no list "events"') from None
    except ValueError as error:
        raise ValueError(f"{log.path(number)}: {error}") from None


def _broken(log: Log, codec: Codec) -> Iterator[str]:
    """Pinned recordings that are not what they were, or that today's code folds to something else."""
    version, numbers = log.decider.fold_version, log.numbers()
    for number, pinned in sorted(log.pins().items()):
        path = log.path(number)
        if number not in numbers:
            yield f"{path} is gone: bring it back, a recording stays for ever"
            continue
        recording = log.load(number)
        if digest(recording) != pinned:
            yield f"{path} was changed after it was recorded: bring it back, and put new events into a new file"
            continue
        recorded = recording["foldVersion"]
        if recorded > version:
            yield (
                f"{path} was recorded as fold version {recorded}, and {log.name} has {version}: a number stands for "
                f"one fold only, so take one above {recorded}"
            )
        try:
            today = folded(log, codec, recording["events"])
        except Unreadable as error:
            yield f"{path}: {error}"
            continue
        if recorded == version and (difference := _difference(recording, today)):
            yield (
                f"the state of {log.name} changed without a new fold version. Undo that, or set fold_version of its "
                f"decider to {version + 1}, then run {RECORD}. {path} (-) and today (+):\n{difference}"
            )


def _missing(log: Log) -> Iterator[str]:
    """What is to be recorded still."""
    version, numbers, pins = log.decider.fold_version, log.numbers(), log.pins()
    if drafts := [log.path(number) for number in numbers if number not in pins]:
        yield f"{', '.join(map(str, drafts))}: drafts of {log.name}. Complete and pin them with {RECORD}"
        return
    recordings = [log.load(number) for number in numbers]
    current = [one for one in recordings if one["foldVersion"] == version]
    if recordings and not current:
        yield f"{log.name} has fold version {version}, which is not recorded yet: run {RECORD}"
        return
    held = {event["schema"] for one in current for event in one["events"]}
    if missing := [schema for schema in log.schemas() if schema not in held]:
        yield (
            f"no recording of {log.name} holds {', '.join(missing)}: write {log.path(max(numbers, default=0) + 1)} "
            'with {"events": [{"schema": ..., "record": {...}, '
            '"headers": {"ce_cause": "<input topic>-0-<offset>"}}]}, '
            f"then run {RECORD}"
        )


def _difference(recording: Json, today: Json) -> str:
    """The lines of states and rows that differ; empty if none does. The order within a mapping counts."""
    before, after = (
        json.dumps(
            {part: one[part] for part in ("states", "rows")}, indent=1, ensure_ascii=False
        ).splitlines()
        for one in (recording, today)
    )
    lines = [
        line
        for line in difflib.unified_diff(before, after, n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]
    more = [f"... and {len(lines) - MOST_LINES} lines more"] if len(lines) > MOST_LINES else []
    return "\n".join(f"  {line}" for line in [*lines[:MOST_LINES], *more])
