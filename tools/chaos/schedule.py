"""What is hurt, when and for how long: the same seed gives the same schedule. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

AFTERMATH = 5.0
"""Seconds after a fault's end in which orders still count as posted near a fault: a takeover takes about so long."""
BEFORE = 5.0
"""Seconds before a fault in which orders count as near it too: it may catch them on their way."""
BROKER_REST = 6.0
"""Seconds between the end of one broker's fault and the next one's: replicas are in sync again by then."""
LONGEST = 10.0


class Fault(NamedTuple):
    """``kind`` is kill or freeze; ``target`` a process. ``at`` and ``seconds`` count from the load's beginning.

    A killed service or simulator comes back by itself; of a broker, and of whatever is frozen, ``seconds`` says when.
    """

    at: float
    kind: str
    target: str
    seconds: float

    @property
    def end(self) -> float:
        return self.at + self.seconds


def schedule(
    seed: str, seconds: float, services: Sequence[str], brokers: Sequence[str], others: Sequence[str] = ()
) -> list[Fault]:
    """The faults of a run, in order of time; all are over before the load ends.

    The first ninth is left in peace, to compare with. After that, one fault every 3.3 seconds on average: two of
    three hurt a service, one in five a broker, the rest the ``others``. Never two brokers at once, and no process
    while it is hurt already.
    """
    dice = random.Random(seed)
    faults: list[Fault] = []
    at = quiet(seconds)
    busy: dict[str, float] = {}
    brokers_free = 0.0
    while True:
        at += dice.uniform(1.6, 5.0)
        room = seconds - at
        if room < 2.0:
            return faults
        group = dice.choices(["service", "broker", "other"], [66, 20, 14 if others else 0])[0]
        if group == "broker" and at < brokers_free:
            group = "service"
        names = {"service": services, "broker": brokers, "other": others}[group]
        target = dice.choice([n for n in names if busy.get(n, 0.0) <= at] or list(services))
        kind = dice.choice(["kill", "freeze"])
        length = min(room, round(_length(dice, group, kind), 1))
        if busy.get(target, 0.0) > at:
            continue
        faults.append(Fault(round(at, 1), kind, target, round(length, 1)))
        # a process that was killed needs a while to be one worth hurting again
        busy[target] = at + length + (3.0 if kind == "kill" else 1.0)
        if group == "broker":
            brokers_free = at + length + BROKER_REST


def _length(dice: random.Random, group: str, kind: str) -> float:
    if group == "broker":
        return dice.uniform(2.0, 6.0) if kind == "kill" else dice.uniform(1.0, 6.0)
    if kind == "kill":
        return 0.0
    return dice.uniform(1.0, 5.0) if group == "other" else dice.choice([dice.uniform(1.0, 4.0), LONGEST])


def quiet(seconds: float) -> float:
    """For how long after its beginning a load is left in peace."""
    return seconds / 9


def is_near(moment: float, hurt: Sequence[tuple[float, float]]) -> bool:
    """Whether a moment lies in a fault, or shortly before or after; ``hurt`` has each fault's beginning and end."""
    return any(begin - BEFORE <= moment <= end + AFTERMATH for begin, end in hurt)
