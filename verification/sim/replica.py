"""One replica of a service: a real Processor over the broker in memory, that may die, freeze or be cut off anywhere.

There are no threads. A process that freezes in the middle of a turn lets the world go on *inside* that place, and
returns to it when it thaws: to itself nothing has happened, to the others it was gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from eventbus.codec import Codec
from eventbus.kafka.guard import Stuck
from eventbus.model.decider import Decider
from eventbus.model.errors import ProcessMustEnd
from eventbus.model.messages import Envelope
from eventbus.model.places import Partition, Position
from eventbus.processing.assembly import assemble
from eventbus.processing.follower import CHANGED
from eventbus.processing.ports import Ports, Step
from eventbus.processing.processor import Processor
from eventbus.settings import Settings
from verification.sim.broker import Broker, failure
from verification.sim.clients import Line, MemoryClients
from verification.sim.clock import Clock
from verification.sim.groups import SESSION_TIMEOUT
from verification.sim.memory import MemoryStore
from verification.sim.outside import SimulatedCalls

Start = Callable[[Callable[[], int]], Sequence[Decider[Any]]]
"""Makes the deciders of a new process, given its clock (ms since epoch)."""
IDLE = 5_000
"""Ms after which a process that has nothing to do takes a turn all the same."""
EXPECTED = ("the producer may not go on", "the transaction can neither commit nor abort", CHANGED)


class World(Protocol):
    """What a replica needs of the world it lives in."""

    clock: Clock
    dice: Random
    broker: Broker
    codec: Codec
    settings: Settings
    partitions: int
    aborts: float
    stuck: float
    late: list[str]

    def say(self, who: str, *what: object) -> None: ...

    def chance(self, share: float) -> bool: ...

    def stir(self, service: str) -> None: ...


"""Reasons to end that a zombie meets; any other is a bug."""


class Died(BaseException):
    """The process ends here and now."""


@dataclass(frozen=True)
class Strike:
    """What is to befall a replica once it has done ``step`` with something in hand: it dies, or freezes for ``ms``.

    ``step`` may also be a place inside the producer: "commit" (before the broker hears of it), "committed" (after,
    but the answer is lost).
    """

    step: str
    ms: int = 0

    def __str__(self) -> str:
        return f"{f'freezes for {self.ms} ms' if self.ms else 'dies'} after {self.step!r}"


class Process:
    """A life of a replica, from start to death."""

    def __init__(self, replica: Replica) -> None:
        world, service = replica.world, replica.service
        deciders = service.start(replica.clock)
        replica.store.adopt(deciders)
        self._replica, self._told = replica, dict[Partition, int]()
        self.calls = SimulatedCalls(world.clock, lambda: replica.wake(1))
        self.clients = MemoryClients(
            world.broker, replica.line, world.broker.groups[service.name], replica.name, replica.trouble
        )
        ports = Ports(
            replica.store,
            self.calls,
            self.clients,
            publish=self._publish,
            after_step=replica.after_step,
            clock=replica.clock,
            monotonic=lambda: world.clock.seconds,
            jitter=world.dice.random,
        )
        parts = assemble(
            service.name,
            deciders,
            world.settings,
            world.codec,
            world.partitions,
            ports,
            transactional_id=replica.name,
        )
        self.processor = Processor(parts)

    def _publish(self, events: Sequence[Envelope], decided: dict[Partition, int]) -> None:
        """What HTTP would be told. Whoever hears that an input is decided must know its events by then."""
        world, store = self._replica.world, self._replica.store
        for event in events:
            topic, partition, offset = Position.parse(event.cause or "")
            if (
                self._told.get(Partition(topic, partition), 0) > offset
                and store.waiting.known(event.cause or "") is None
            ):
                world.late.append(f"{event.position} is told after the decision on {event.cause}")
            if self.processor.positions().get(Partition(event.topic, event.partition), 0) > event.offset:
                world.late.append(f"{event.position} is told after it is said to be folded")
        self._told.update(decided)

    @property
    def member(self) -> str:
        return self.clients.inputs.member if self.clients.inputs else ""


@dataclass(frozen=True)
class Service:
    """A service to run: its name, its deciders, and the topics its group reads."""

    name: str
    start: Start
    inputs: tuple[str, ...]
    logs: tuple[str, ...]


class Replica:
    """A slot of a service, its store, and the process that runs there, if one does."""

    def __init__(self, world: World, service: Service, slot: int) -> None:
        self.world, self.service, self.name = world, service, f"{service.name}-{slot}"
        self.store = MemoryStore(())
        self.process: Process | None = None
        self.strike: Strike | None = None
        self.skew = 0
        self.cut_until = 0
        self.frozen = self.doomed = self.retired = False
        self.line = Line(lambda: world.clock.now >= self.cut_until, self._wait, world.dice)
        self._plan = 0
        self._planned: int | None = None
        self._idle = 0

    def clock(self) -> int:
        """What the machine's clock says."""
        return self.world.clock.now + self.skew

    def start(self) -> None:
        """A new process begins."""
        if self.process or self.retired:
            return
        self.world.say(self.name, "starts")
        self.process = Process(self)
        self._guarded(self.process.processor.begin)
        self.wake(1)

    def wake(self, ms: int) -> None:
        """Take the next turn in ``ms`` at the latest."""
        at = self.world.clock.now + ms
        if self._planned is not None and self._planned <= at:
            return
        self._planned, self._plan = at, self._plan + 1
        plan = self._plan
        self.world.clock.later(ms, lambda: self._turn(plan))

    def kill(self) -> None:
        """The process ends, wherever it is; another one starts in its slot soon."""
        if self.frozen:
            self.doomed = True
        elif self.process:
            self._die("is killed")

    def retire(self) -> None:
        """Leave the group in order, for good."""
        if self.process and not self.frozen and self.line.up():
            self.world.say(self.name, "stops in order")
            process, self.retired = self.process, True
            assert process.clients.inputs
            self._guarded(process.clients.inputs.close)
            process.calls.dead = True
            self.process = None

    def cut(self, ms: int) -> None:
        """For that long the brokers cannot be reached."""
        if self.process:
            self.world.say(self.name, "is cut off for", ms)
            self.cut_until = self.world.clock.now + ms
            until = self.cut_until
            self._silent(lambda: self.cut_until == until and self.world.clock.now < until)

    def after_step(self, step: Step, count: int) -> None:
        """The processor has done a step: the place for what is to befall it."""
        if count:
            self._strike(step.value)

    def trouble(self, place: str) -> None:
        """The producer is at a place inside the commit."""
        if place == "offsets" and self.world.chance(self.world.aborts):
            self.world.say(self.name, "meets an error that needs an abort")
            raise failure(22, abort=True)
        if self.world.chance(self.world.stuck):
            self.world.say(self.name, "gives up on its producer:", place)
            raise Stuck(place)
        self._strike(place)

    def _strike(self, place: str) -> None:
        strike = self.strike
        if strike is None or strike.step != place:
            return
        self.strike = None
        self.world.say(self.name, str(strike))
        if not strike.ms:
            raise Died
        self._freeze(self.world.clock.now + strike.ms)

    def _wait(self) -> None:
        if self.world.clock.now < self.cut_until:
            self._freeze(self.cut_until)

    def _freeze(self, until: int) -> None:
        """The world goes on without this process, which stands still in the middle of its turn."""
        self.frozen, thawed = True, False
        self._silent(lambda: not thawed)
        self.world.clock.run_until(until)
        self.frozen, thawed = False, True
        if self.doomed:
            self.doomed = False
            raise Died
        self.world.say(self.name, "goes on")

    def _silent(self, still: Callable[[], bool]) -> None:
        """Nothing is heard of the member: the coordinator fences it after a session timeout, if that lasts."""
        assert self.process
        member, group = self.process.member, self.world.broker.groups[self.service.name]

        def fence() -> None:
            if still() and member in group.members:
                self.world.say(self.name, "is fenced: its session is over")
                group.leave(member)
                self.world.stir(self.service.name)

        self.world.clock.later(SESSION_TIMEOUT, fence)

    def _turn(self, plan: int) -> None:
        if plan != self._plan:
            return
        self._planned = None
        if self.frozen or not self.process:
            return
        committed, self.line.missed = len(self.world.broker.committed), False
        if self._guarded(self.process.processor.turn):
            self._idle = 0 if len(self.world.broker.committed) > committed else self._idle + 1
            self.wake(self._pause(self.process))

    def _pause(self, process: Process) -> int:
        """Ms until the next turn, if nothing happens that wakes this replica before."""
        dice, now, tasks = self.world.dice, self.clock(), process.processor.tasks
        if self.line.missed:
            return dice.randint(2, 20)
        if tasks.catching_up:
            return dice.randint(20, 60) * (1 + min(self._idle, 9))
        if process.processor.breaker.is_open:
            return dice.randint(100, 400)
        due = self.store.next_due(tasks.led)
        pause = IDLE if due is None else max(due - now, 300 if process.calls.in_flight() else 110)
        return min(pause, 1_100 if self._idle < 2 else IDLE) + dice.randint(0, 20)

    def _guarded(self, act: Callable[[], None]) -> bool:
        """Run a part of the process; whether it still lives. A reason to end that is none stops the world."""
        try:
            act()
            return True
        except Died:
            self._die("is dead")
        except ProcessMustEnd as error:
            if not str(error).startswith(EXPECTED):
                raise
            self._die(f"ends, fenced: {error}")
        return False

    def _die(self, how: str) -> None:
        process, world = self.process, self.world
        assert process
        world.say(self.name, how)
        self.process, self.strike = None, None
        process.calls.dead = True
        self._planned, self._plan = None, self._plan + 1
        member, group = process.member, world.broker.groups[self.service.name]

        def forget() -> None:
            if member in group.members:
                group.leave(member)
                world.stir(self.service.name)

        world.clock.later(SESSION_TIMEOUT, forget)
        world.clock.later(world.dice.randint(100, 4_000), self.start)
