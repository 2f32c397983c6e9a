"""What waits in a service's retry topic, read as a follower reads it."""

from __future__ import annotations

from eventbus.retry.parked import Parked, State
from tests.support.system import System


class Waits:
    """The retry topic of one service: the last record of each message counts."""

    def __init__(self, system: System, service: str) -> None:
        self._system, self._topic = system, f"{service}.retry"

    def all(self) -> list[Parked]:
        """Every message that ever waited, as its last record says it stands."""
        last = {raw.key: Parked.from_record(raw) for raw in self._system.topics.read(self._topic)}
        return sorted(last.values(), key=lambda p: (p.log, p.key, p.sequence))

    def queue(self, key: str) -> list[Parked]:
        """What waited or waits for a key, in order."""
        return [parked for parked in self.all() if parked.key == key]

    def states(self, key: str) -> list[State]:
        return [parked.state for parked in self.queue(key)]
