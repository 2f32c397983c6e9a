"""Carries a schedule of faults out, on the calling thread."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tools.stack.kafka import LocalKafka
from verification.chaos.hostility import Hostility
from verification.chaos.schedule import TOPICS, Fault, Kind
from verification.chaos.site import Site

BROKER = "broker"
AGAIN = 1.0
"""Seconds after which a fault is tried again that could not be done, if its kind has not landed yet."""


class Done(NamedTuple):
    """A fault that landed: from when to when (``time.monotonic``, s)."""

    kind: Kind
    target: str
    began: float
    ended: float


@dataclass
class Harm:
    """What was done, and how many faults of each kind could not be."""

    done: list[Done] = field(default_factory=list)
    left_out: Counter[Kind] = field(default_factory=Counter)

    @property
    def spans(self) -> list[tuple[float, float]]:
        return [(done.began, done.ended) for done in self.done]

    def of(self, kind: Kind) -> list[Done]:
        """The faults of one kind that landed."""
        return [done for done in self.done if done.kind == kind]


def broker_names(site: Site) -> list[str]:
    """``broker-1`` and so on, as schedules name them."""
    return [f"{BROKER}-{i + 1}" for i in range(site.cluster.count)]


def inflict(
    site: Site,
    faults: Sequence[Fault],
    began: float,
    seconds: float,
    hostility: Hostility,
    say: Callable[[str], None],
) -> Harm:
    """Do what the schedule says until ``seconds`` after ``began``, and undo each fault when it is over."""
    harm = Harm()
    coming: list[tuple[float, int, Fault, bool]] = [(f.at, n, f, True) for n, f in enumerate(faults)]
    heapq.heapify(coming)
    while coming:
        at, number, fault, begins = heapq.heappop(coming)
        time.sleep(max(0.0, began + at - time.monotonic()))
        if not begins:
            _undo(site, fault)
            continue
        now = time.monotonic()
        if not _do(site, fault, harm, hostility):
            later = fault._replace(at=fault.at + AGAIN)
            if later.end < seconds and not harm.of(fault.kind):
                heapq.heappush(coming, (later.at, number, later, True))
            else:
                harm.left_out[fault.kind] += 1
                say(f"{at:6.1f} s  {fault.kind} {fault.target}: left out, another broker is not back in sync")
            continue
        fault = fault._replace(at=now - began)
        harm.done.append(Done(fault.kind, fault.target, now, now + fault.seconds))
        lasting = f" for {fault.seconds:.1f} s" if fault.seconds else ""
        say(f"{fault.at:6.1f} s  {fault.kind.action} {fault.target}{lasting}")
        if fault.seconds:
            heapq.heappush(coming, (fault.end, number, fault, False))
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    return harm


def _do(site: Site, fault: Fault, harm: Harm, hostility: Hostility) -> bool:
    """Begin a fault. A broker's is left out unless all brokers are there and in sync: never two at once."""
    if fault.target == TOPICS:
        hostility.strike()
    elif fault.kind.group == BROKER:
        # one that was just frozen counts as in sync until its session ends
        hurt = any(d.kind.group == BROKER and d.ended > time.monotonic() for d in harm.done)
        if hurt or not site.cluster.is_whole(timeout=2.0):
            return False
        broker = _broker(site, fault)
        (broker.kill if fault.kind.action == "kill" else broker.pause)()
    else:
        child = site.child(fault.target)
        (child.kill if fault.kind.action == "kill" else child.freeze)()
    return True


def _undo(site: Site, fault: Fault) -> None:
    if fault.kind.group != BROKER:
        site.child(fault.target).thaw()
    elif fault.kind.action == "kill":
        _broker(site, fault).launch()
    else:
        _broker(site, fault).resume()


def _broker(site: Site, fault: Fault) -> LocalKafka:
    return site.cluster.brokers[int(fault.target.rpartition("-")[2]) - 1]
