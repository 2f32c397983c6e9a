"""What a run of the load generator measured, and the report of it. No network."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from eventbus.visible import visible
from tools.arrivals import Settled, percentile

SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}


class Sent(NamedTuple):
    """One request: when it was due, sent and answered (``time.monotonic``, s). ``outcome`` is the HTTP status or an
    error's name; ``order`` is "" unless it was accepted; ``bad``: it was meant not to settle."""

    due: float
    sent: float
    answered: float
    outcome: str
    order: str
    bad: bool = False


@dataclass
class Measured:
    """Every request of a run, and the orders heard settling."""

    rate: float
    sent: list[Sent] = field(default_factory=list)
    settled: Mapping[str, Settled] = field(default_factory=dict)

    def result(self) -> dict[str, Any]:
        """Latencies in ms from the moment a request was due, rates per second. ``bad`` ones count in no latency."""
        accepted = [one for one in self.sent if one.order and not one.bad]
        heard = [(one, self.settled[one.order]) for one in accepted if one.order in self.settled]
        confirmed = [settled.at - one.due for one, settled in heard if settled.status == "CONFIRMED"]
        spent = max((one.sent for one in self.sent), default=0.0) - min(
            (one.sent for one in self.sent), default=0.0
        )
        return {
            "rate": self.rate,
            "achievedRate": round((len(self.sent) - 1) / spent, 1) if spent else 0.0,
            "requests": len(self.sent),
            "answers": dict(Counter(one.outcome for one in self.sent)),
            "ends": dict(Counter(settled.status for _, settled in heard)),
            "bad": sum(one.bad for one in self.sent),
            "notSettled": len(accepted) - len(heard),
            "ms": {
                "POST to CONFIRMED": _percentiles(confirmed),
                "POST to answer": _percentiles([one.answered - one.due for one in accepted]),
                "sent late by": _percentiles([one.sent - one.due for one in self.sent]),
            },
        }


def _percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return (
        {name: round(percentile(ordered, share) * 1000, 1) for name, share in SHARES.items()}
        if ordered
        else {}
    )


def table(result: Mapping[str, Any]) -> str:
    """The result for people."""
    counts = [f"{count:,} {name}" for part in ("answers", "ends") for name, count in result[part].items()]
    lines = [
        f"{result['requests']:,} orders at {result['achievedRate']:g}/s (asked for {result['rate']:g}/s): "
        f"{', '.join(counts)}, {result['notSettled']:,} not settled"
        + (f" (and {result['bad']:,} that could not be paid)" if result["bad"] else ""),
        f"{'ms':<20}" + "".join(f"{name:>10}" for name in SHARES),
    ]
    for name, found in result["ms"].items():
        lines.append(
            f"{name:<20}" + "".join(f"{found[s]:>10,.1f}" if found else f"{'-':>10}" for s in SHARES)
        )
    return "\n".join(map(visible, lines))


def as_json(result: Mapping[str, Any]) -> str:
    """The result for programs."""
    return json.dumps(result, indent=2)
