"""Carries out a schedule of faults, on the calling thread."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tools.stack.kafka import LocalKafka
from verification.chaos.cluster import ChaosCluster
from verification.chaos.hostile_bursts import HostileBursts
from verification.chaos.rolling_upgrade import RollingUpgrade
from verification.chaos.schedule import TOPICS, UPGRADE, Fault, Kind

BROKER = "broker"
AGAIN = 1.0
"""Seconds until a fault that was not possible is tried again, if its kind has not landed yet."""


class LandedFault(NamedTuple):
    """A fault that landed: from when to when (``time.monotonic``, s)."""

    kind: Kind
    target: str
    began: float
    ended: float


@dataclass
class FaultLog:
    """The faults that landed, and how many of each kind were left out."""

    done: list[LandedFault] = field(default_factory=list)
    left_out: Counter[Kind] = field(default_factory=Counter)

    @property
    def spans(self) -> list[tuple[float, float]]:
        return [(done.began, done.ended) for done in self.done]

    def lasted(self, kind: Kind, until: float) -> None:
        """The fault of this kind ended only then."""
        self.done = [
            done._replace(ended=max(done.ended, until)) if done.kind == kind else done for done in self.done
        ]

    def of(self, kind: Kind) -> list[LandedFault]:
        """The faults of one kind that landed."""
        return [done for done in self.done if done.kind == kind]


def broker_names(chaos: ChaosCluster) -> list[str]:
    """``broker-1`` and so on, as schedules name them."""
    return [f"{BROKER}-{i + 1}" for i in range(chaos.cluster.count)]


def carry_out(
    chaos: ChaosCluster,
    faults: Sequence[Fault],
    began: float,
    seconds: float,
    bursts: HostileBursts,
    upgrade: RollingUpgrade,
    say: Callable[[str], None],
) -> FaultLog:
    """Carry out the schedule until ``seconds`` after ``began``, and undo each fault when it ends."""
    fault_log = FaultLog()
    coming: list[tuple[float, int, Fault, bool]] = [(f.at, n, f, True) for n, f in enumerate(faults)]
    heapq.heapify(coming)
    while coming:
        at, number, fault, begins = heapq.heappop(coming)
        time.sleep(max(0.0, began + at - time.monotonic()))
        if not begins:
            _undo(chaos, fault)
            continue
        now = time.monotonic()
        if not _do(chaos, fault, fault_log, bursts, upgrade):
            later = fault._replace(at=fault.at + AGAIN)
            if later.end < seconds and not fault_log.of(fault.kind):
                heapq.heappush(coming, (later.at, number, later, True))
            else:
                fault_log.left_out[fault.kind] += 1
                say(f"{at:6.1f} s  {fault.kind} {fault.target}: left out, another broker is not back in sync")
            continue
        fault = fault._replace(at=now - began)
        fault_log.done.append(LandedFault(fault.kind, fault.target, now, now + fault.seconds))
        lasting = f" for {fault.seconds:.1f} s" if fault.seconds else ""
        say(f"{fault.at:6.1f} s  {fault.kind.action} {fault.target}{lasting}")
        if fault.seconds:
            heapq.heappush(coming, (fault.end, number, fault, False))
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    return fault_log


def _do(
    chaos: ChaosCluster, fault: Fault, fault_log: FaultLog, bursts: HostileBursts, upgrade: RollingUpgrade
) -> bool:
    """Begin a fault. Returns False for a fault of a broker unless all brokers run and are in sync: never two at
    once."""
    if fault.target == TOPICS:
        bursts.write_burst()
    elif fault.kind == UPGRADE:
        upgrade.begin()
    elif fault.kind.group == BROKER:
        # one that was just frozen counts as in sync until its session ends
        hurt = any(d.kind.group == BROKER and d.ended > time.monotonic() for d in fault_log.done)
        if hurt or not chaos.cluster.is_whole(timeout=2.0):
            return False
        broker = _broker(chaos, fault)
        (broker.kill if fault.kind.action == "kill" else broker.pause)()
    else:
        child = chaos.child(fault.target)
        (child.kill if fault.kind.action == "kill" else child.freeze)()
    return True


def _undo(chaos: ChaosCluster, fault: Fault) -> None:
    if fault.kind.group != BROKER:
        chaos.child(fault.target).thaw()
    elif fault.kind.action == "kill":
        _broker(chaos, fault).launch()
    else:
        _broker(chaos, fault).resume()


def _broker(chaos: ChaosCluster, fault: Fault) -> LocalKafka:
    return chaos.cluster.brokers[int(fault.target.rpartition("-")[2]) - 1]
