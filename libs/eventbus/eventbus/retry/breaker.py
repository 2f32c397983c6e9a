"""The circuit breaker: when calls fail alike for many keys, little input is taken, and some messages probe."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from eventbus.model.places import Entity

log = logging.getLogger("eventbus.breaker")
REMEMBERED = 10_000


def _log_change(is_open: bool) -> None:
    if is_open:
        log.error("calls fail alike for many keys: little input is taken, a few messages at a time probe")
    else:
        log.warning("calls succeed again: input is taken")


@dataclass
class Breaker:
    """Opens when many different keys fail one after another, and closes with the first that does not.

    One bad key never opens it: only ``threshold`` different ones do, with no success for ``streak`` ms. A key that
    failed while another did not has a fault of its own: its next failure says nothing about the outside.

    While it is open no attempt is counted, and calls are probes, of two kinds. Keys that have not failed since the
    last success, such as those of new input, may be good: ``burst`` of them are asked about at once, so that many bad
    ones do not hold up a good one, and then ``a_second``. Keys that have failed are asked about again, ``a_second``,
    to find out whether the outside is back.
    """

    threshold: int = 5
    streak: int = 500
    at_once: int = 32
    """Calls under way above which no probe begins."""
    a_turn: int = 8
    """Probes that begin in one turn at most: the first success of a turn makes those of the next unnecessary."""
    burst: int = 200
    a_second: float = 2.0
    failed: set[Entity] = field(default_factory=set)
    """Keys that have failed since the last success."""
    failing_since: int = 0
    own_fault: dict[Entity, None] = field(default_factory=dict)
    """Keys that failed while others did not, the latest ``REMEMBERED``."""
    opened_at: int | None = None
    changed: Callable[[bool], None] = _log_change
    """Called when it opens (True) and closes (False)."""
    _untried: float = 0.0
    _again: float = 0.0
    """Probes that may begin, of each kind, as counted at ``_reckoned_at``."""
    _reckoned_at: int = 0

    @property
    def is_open(self) -> bool:
        return self.opened_at is not None

    def failure(self, entity: Entity, now: int) -> None:
        if entity in self.own_fault:
            return
        if not self.failed:
            self.failing_since = now
        self.failed.add(entity)
        lasts = now - self.failing_since >= self.streak
        if not self.is_open and lasts and len(self.failed) >= self.threshold:
            self.opened_at = self._reckoned_at = now
            self._untried, self._again = float(self.burst), 0.0
            self.changed(True)

    def success(self, entity: Entity | None = None) -> None:
        """The outside answered, about ``entity`` if it is given."""
        self.own_fault.update(dict.fromkeys(self.failed))
        if entity is not None:
            self.own_fault.pop(entity, None)
        while len(self.own_fault) > REMEMBERED:
            del self.own_fault[next(iter(self.own_fault))]
        self.failed.clear()
        if self.is_open:
            self.opened_at = None
            self.changed(False)

    def untried(self, entity: Entity) -> bool:
        """Whether the key may be good: it has not failed since the last success, and has no fault of its own."""
        return entity not in self.failed and entity not in self.own_fault

    def room(self, now: int, under_way: int) -> tuple[int, int]:
        """How many probes may begin now, beside the calls under way: about keys untried, and about others again."""
        passed = max(0, now - self._reckoned_at) / 1000 * self.a_second
        self._untried = min(self._untried + passed, float(self.burst))
        self._again = min(self._again + passed, 1.0)
        self._reckoned_at = now
        most = max(0, min(self.at_once - under_way, self.a_turn))
        return min(most, int(self._untried)), min(most, int(self._again))

    def probed(self, untried: int, again: int = 0) -> None:
        """So many probes have begun."""
        self._untried -= untried
        self._again -= again
