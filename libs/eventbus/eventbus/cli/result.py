"""The result of a redrive or a discard, or of its dry run: both have the same shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eventbus.cli.index import ParkedKey
from eventbus.retry.preview import Effect

DONE, BUSY, UNFINISHED = "done", "busy", "unfinished"
"""``busy``: a call for the key was under way and nothing was changed; ``unfinished``: not done in time."""


@dataclass(frozen=True)
class Row:
    """One message and the effect on it."""

    coordinates: str
    type: str
    effect: Effect
    state: str
    events: tuple[str, ...] = ()
    error: str = ""

    @classmethod
    def parse(cls, json: Mapping[str, Any]) -> Row:
        """From the JSON of ``/dlq/preview``. Raises KeyError or ValueError."""
        return cls(
            json["coordinates"],
            json["type"],
            Effect(json["verdict"]),
            json["state"],
            tuple(json["events"]),
            json["error"],
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "coordinates": self.coordinates,
            "type": self.type,
            "verdict": self.effect.value,
            "state": self.state,
            "events": list(self.events),
            "error": self.error,
        }


@dataclass(frozen=True)
class KeyResult:
    """One key with all its parked messages."""

    parked_key: ParkedKey
    result: str
    rows: tuple[Row, ...]
    note: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether nothing is left for a person to look at."""
        failed = (Effect.FAILS, Effect.STAYS)
        return (
            self.result == DONE
            and not any(row.effect in failed for row in self.rows)
            and not any(row.state == "DEAD" for row in self.rows)
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "service": self.parked_key.service,
            "log": self.parked_key.log,
            "key": self.parked_key.key,
            "result": self.result,
            "note": self.note,
            "messages": [row.as_json() for row in self.rows],
        }


@dataclass
class Report:
    """All keys of one command. ``left_out``: what matched but could not be redriven or discarded."""

    action: str
    dry: bool
    results: Sequence[KeyResult] = ()
    left_out: list[tuple[str, str, str]] = field(default_factory=list)
    """(service, key or coordinates, reason)"""

    def counts(self) -> dict[str, int]:
        """The number of messages by effect, without those of busy keys."""
        counted = Counter(row.effect for r in self.results if r.result != BUSY for row in r.rows)
        return {effect.value: counted[effect] for effect in Effect if counted[effect]}

    def as_json(self) -> dict[str, Any]:
        return {
            "action": self.action,
            "dryRun": self.dry,
            "keys": len(self.results),
            "messages": sum(len(r.rows) for r in self.results),
            "counts": self.counts(),
            "results": [r.as_json() for r in self.results],
            "leftOut": [{"service": s, "key": k, "reason": why} for s, k, why in self.left_out],
        }
