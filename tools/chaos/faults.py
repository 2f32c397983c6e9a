"""Carries a schedule of faults out, on the calling thread."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tools.chaos.schedule import Fault
from tools.chaos.site import Site

BROKER = "broker"


@dataclass
class Harm:
    """What was done: faults by kind and target, when (``time.monotonic``, s), and which could not be."""

    done: Counter[tuple[str, str]] = field(default_factory=Counter)
    spans: list[tuple[float, float]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return self.done.total()


def broker_names(site: Site) -> list[str]:
    """``broker-1`` and so on, as schedules name them."""
    return [f"{BROKER}-{i + 1}" for i in range(site.cluster.count)]


def inflict(
    site: Site, faults: Sequence[Fault], began: float, seconds: float, say: Callable[[str], None]
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
        if not _do(site, fault):
            harm.left_out[fault.target.rpartition("-")[0] or fault.target] += 1
            say(f"{at:6.1f} s  {fault.kind} {fault.target}: left out, another broker is not back in sync")
            continue
        harm.done[fault.kind, fault.target] += 1
        harm.spans.append((now, now + fault.seconds))
        lasting = f" for {fault.seconds:.1f} s" if fault.seconds else ""
        say(f"{at:6.1f} s  {fault.kind} {fault.target}{lasting}")
        if fault.seconds:
            heapq.heappush(coming, (fault.end, number, fault, False))
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    return harm


def _do(site: Site, fault: Fault) -> bool:
    """Begin a fault. A broker's is left out unless all brokers are there and in sync: never two at once."""
    if fault.target.startswith(BROKER):
        if not site.cluster.is_whole(timeout=2.0):
            return False
        broker = site.cluster.brokers[int(fault.target.rpartition("-")[2]) - 1]
        (broker.kill if fault.kind == "kill" else broker.pause)()
    else:
        child = site.child(fault.target)
        (child.kill if fault.kind == "kill" else child.freeze)()
    return True


def _undo(site: Site, fault: Fault) -> None:
    if fault.target.startswith(BROKER):
        broker = site.cluster.brokers[int(fault.target.rpartition("-")[2]) - 1]
        if fault.kind == "kill":
            broker.launch()
        else:
            broker.resume()
    else:
        site.child(fault.target).thaw()
