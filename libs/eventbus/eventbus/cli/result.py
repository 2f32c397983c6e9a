"""What a redrive or a discard came to, or would come to: the same shape for the dry run and the real one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eventbus.cli.index import ParkedKey
from eventbus.retry.preview import Effect

DONE, BUSY, UNFINISHED = "done", "busy", "unfinished"
"""``busy``: the service had a call for the key under way and left it as it is; ``unfinished``: not over in time."""


@dataclass(frozen=True)
class Row:
    """One message and what becomes of it."""

    coordinates: str
    type: str
    verdict: Effect
    state: str
    events: tuple[str, ...] = ()
    error: str = ""

    @classmethod
    def parse(cls, told: Mapping[str, Any]) -> Row:
        """From the JSON of ``/dlq/preview``. Raises KeyError or ValueError."""
        return cls(
            told["coordinates"],
            told["type"],
            Effect(told["verdict"]),
            told["state"],
            tuple(told["events"]),
            told["error"],
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "coordinates": self.coordinates,
            "type": self.type,
            "verdict": self.verdict.value,
            "state": self.state,
            "events": list(self.events),
            "error": self.error,
        }


@dataclass(frozen=True)
class KeyResult:
    """One key, with all that waited for it."""

    queue: ParkedKey
    result: str
    rows: tuple[Row, ...]
    note: str = ""

    @property
    def well(self) -> bool:
        """Whether nothing is left for a person to look at."""
        failed = (Effect.FAILS, Effect.STAYS)
        return (
            self.result == DONE
            and not any(row.verdict in failed for row in self.rows)
            and not any(row.state == "DEAD" for row in self.rows)
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "service": self.queue.service,
            "log": self.queue.log,
            "key": self.queue.key,
            "result": self.result,
            "note": self.note,
            "messages": [row.as_json() for row in self.rows],
        }


@dataclass
class Report:
    """All keys of one command. ``left_out`` are those that matched and could not be taken, each with the reason."""

    action: str
    dry: bool
    results: Sequence[KeyResult] = ()
    left_out: list[tuple[str, str, str]] = field(default_factory=list)
    """(service, key or coordinates, reason)"""

    def counts(self) -> dict[str, int]:
        """Messages by verdict. Those of busy keys are none of them."""
        counted = Counter(row.verdict for r in self.results if r.result != BUSY for row in r.rows)
        return {verdict.value: counted[verdict] for verdict in Effect if counted[verdict]}

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
