"""What is hurt, when and for how long: the same seed gives the same schedule. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

AFTERMATH = 5.0
"""Seconds after a fault's end in which orders still count as posted near a fault: a takeover takes about so long."""
BEFORE = 5.0
"""Seconds before a fault in which orders count as near it too: it may catch them on their way."""
BROKER_REST = 6.0
"""Seconds between the end of one broker's fault and the next one's: replicas are in sync again by then."""
LONGEST = 10.0
SHORT = 45.0
"""Seconds below which a run has its faults closer together, so that there is time for each kind."""
CLOSEST = 0.7
"""Seconds between two faults at least."""
LEAST = 2.0
"""Seconds before the load's end after which no fault begins."""
TOPICS = "topics"
EVERYTHING = "all services"


class Kind(NamedTuple):
    """What is done (``kill``, ``freeze``, ``hostile``, ``upgrade``), and to what sort of target."""

    action: str
    group: str

    def __str__(self) -> str:
        named = {TOPICS: "hostile records", EVERYTHING: "rolling upgrade"}
        return named.get(self.group, f"{self.action} {self.group}")


UPGRADE = Kind("upgrade", EVERYTHING)
DRAWN = (
    Kind("freeze", "broker"),
    Kind("kill", "broker"),
    Kind("hostile", TOPICS),
    Kind("kill", "service"),
    Kind("freeze", "service"),
    Kind("kill", "other"),
    Kind("freeze", "other"),
)
KINDS = (UPGRADE, *DRAWN)
WEIGHTS = {"service": 62, "broker": 20, "other": 12, TOPICS: 6}


class Fault(NamedTuple):
    """``at`` and ``seconds`` count from the load's beginning; ``target`` is a process, or the group of the kind.

    A killed service or simulator comes back by itself; of a broker, and of whatever is frozen, ``seconds`` says when.
    Hostile records are written at once. An upgrade takes as long as its replicas need.
    """

    at: float
    kind: Kind
    target: str
    seconds: float

    @property
    def end(self) -> float:
        return self.at + self.seconds


def schedule(
    seed: str, seconds: float, services: Sequence[str], brokers: Sequence[str], others: Sequence[str] = ()
) -> list[Fault]:
    """The faults of a run, in order of time; all are over before the load ends.

    The first ninth is left in peace, to compare with. Then the upgrade begins, once. Amid it each other kind comes
    once, if there is time, and after that any of them: about two of three hurt a service, one in five a broker. A
    fault begins every 3.3 seconds on average, in a short run more often. Never two brokers at once, and no process
    while it is hurt already.
    """
    dice = random.Random(seed)
    targets = {"service": services, "broker": brokers, "other": others, TOPICS: [TOPICS]}
    # Brokers rest between their faults, so the first of theirs comes first of all.
    freeze_first, kill_next, *rest = [kind for kind in DRAWN if targets[kind.group]]
    coming = [freeze_first, kill_next, *dice.sample(rest, len(rest))]
    haste = min(1.0, seconds / SHORT)
    free: dict[str, float] = {}
    at = quiet(seconds)
    faults = [Fault(round(at, 1), UPGRADE, EVERYTHING, 0.0)]
    while True:
        # what must come yet leaves room for what must come after it
        room = max(CLOSEST, (seconds - LEAST - at) / (len(coming) + 1))
        at += min(dice.uniform(1.6, 5.0) * haste, room)
        if seconds - at < LEAST:
            return faults
        fault = next(_planned(dice, coming, targets, free, at, seconds), None)
        if fault is None:
            continue
        faults.append(fault)
        if fault.kind in coming:
            coming.remove(fault.kind)
        # a process that was killed needs a while to be one worth hurting again
        free[fault.target] = fault.end + (3.0 if fault.kind.action == "kill" else 1.0)
        if fault.kind.group == "broker":
            free["broker"] = fault.end + BROKER_REST


def _planned(
    dice: random.Random,
    coming: Sequence[Kind],
    targets: Mapping[str, Sequence[str]],
    free: Mapping[str, float],
    at: float,
    seconds: float,
) -> Iterator[Fault]:
    """What may begin at this time and is over before the load is: first of what must come yet, then anything."""
    haste = min(1.0, seconds / SHORT)
    for kind in [*coming, _any(dice, targets, free, at)]:
        names = [name for name in targets[kind.group] if free.get(name, 0.0) <= at]
        shortest, longest = _length(kind, haste)
        longest = min(longest, seconds - at - 0.1)
        if names and free.get(kind.group, 0.0) <= at and shortest <= longest:
            yield Fault(round(at, 1), kind, dice.choice(names), round(dice.uniform(shortest, longest), 1))


def _any(
    dice: random.Random, targets: Mapping[str, Sequence[str]], free: Mapping[str, float], at: float
) -> Kind:
    kinds = [kind for kind in DRAWN if targets[kind.group] and free.get(kind.group, 0.0) <= at]
    groups = list(dict.fromkeys(kind.group for kind in kinds))
    group = dice.choices(groups, [WEIGHTS[group] for group in groups])[0]
    return dice.choice([kind for kind in kinds if kind.group == group])


def _length(kind: Kind, haste: float) -> tuple[float, float]:
    """For how many seconds a fault lasts, at least and at most."""
    match kind:
        case Kind("freeze", "broker"):
            return 3.0, 5.0
        case Kind("kill", "broker"):
            return 2.0, 2.0 + 4.0 * haste
        case Kind("freeze", "other"):
            return 0.5, 5.0 * haste
        case Kind("freeze", _):
            return 0.5, LONGEST * haste
    return 0.0, 0.0


def missing(kinds: Iterable[Kind]) -> list[Kind]:
    """The kinds of fault that are not among these."""
    there = set(kinds)
    return [kind for kind in KINDS if kind not in there]


def quiet(seconds: float) -> float:
    """For how long after its beginning a load is left in peace."""
    return seconds / 9


def is_near(moment: float, hurt: Sequence[tuple[float, float]]) -> bool:
    """Whether a moment lies in a fault, or shortly before or after; ``hurt`` has each fault's beginning and end."""
    return any(begin - BEFORE <= moment <= end + AFTERMATH for begin, end in hurt)
