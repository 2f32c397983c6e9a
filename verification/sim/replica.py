"""One replica of a service: a real Processor over the broker in memory. It may die, freeze or be cut off anywhere.

There are no threads. A process that freezes in the middle of a turn runs the rest of the simulation *inside* that
call, and returns from it when it thaws: it has noticed nothing, and the others have missed it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from eventbus.kafka.guard import Stuck
from eventbus.model.errors import ProcessMustEnd
from eventbus.model.messages import Envelope
from eventbus.model.places import Partition, Position
from eventbus.processing.assembly import assemble
from eventbus.processing.chain import Chain
from eventbus.processing.follower import CHANGED
from eventbus.processing.ports import Ports, Step
from eventbus.processing.processor import Processor
from verification.sim.broker import failure
from verification.sim.clients import MemoryClients
from verification.sim.consumers import Connection
from verification.sim.fault import StepFault
from verification.sim.groups import SESSION_TIMEOUT
from verification.sim.memory import MemoryStore
from verification.sim.outside import SimulatedCalls
from verification.sim.release import Release
from verification.sim.service import Environment, Service

IDLE = 5_000
"""Ms after which a process takes a turn although it has nothing to do."""
EXPECTED = ("the producer may not go on", "the transaction can neither commit nor abort", CHANGED)
"""Reasons to end that a zombie meets; any other is a bug."""


class Died(BaseException):
    """The process ends here and now."""


class Process:
    """One process of a replica, from its start to its end."""

    def __init__(self, replica: Replica) -> None:
        simulation, service = replica.simulation, replica.service
        deciders = service.start(replica.clock)
        replica.store.adopt(deciders)
        replica.connection.hidden = replica.release.hidden
        self._replica, self._decided = replica, dict[Partition, int]()
        self.calls = SimulatedCalls(simulation.clock, lambda: replica.wake(1))
        self.clients = MemoryClients(
            simulation.broker,
            replica.connection,
            simulation.broker.groups[service.name],
            replica.name,
            replica.trouble,
        )
        ports = Ports(
            replica.store,
            self.calls,
            self.clients,
            publish=self._publish,
            after_step=replica.after_step,
            clock=replica.clock,
            monotonic=lambda: simulation.clock.seconds,
            jitter=simulation.dice.random,
        )
        parts = assemble(
            service.name,
            deciders,
            simulation.settings,
            simulation.codec_of(replica.release),
            simulation.partitions,
            ports,
            transactional_id=replica.name,
            start=service.start_from,
        )
        if replica.release.hidden:
            parts = replace(parts, chain=Chain(parts.context.offsets, lambda: (), 0))
        self.processor = Processor(parts)

    def _publish(self, events: Sequence[Envelope], decided: dict[Partition, int]) -> None:
        """Receives what the HTTP interface would receive. The events of an input must come before the word that it
        is decided."""
        simulation, store = self._replica.simulation, self._replica.store
        for event in events:
            topic, partition, offset = Position.parse(event.cause or "")
            if (
                self._decided.get(Partition(topic, partition), 0) > offset
                and store.parked.known(event.cause or "") is None
            ):
                simulation.late.append(f"{event.position} is published after the decision on {event.cause}")
            if self.processor.positions().get(Partition(event.topic, event.partition), 0) > event.offset:
                simulation.late.append(f"{event.position} is published after it counts as folded")
        self._decided.update(decided)

    @property
    def member(self) -> str:
        return self.clients.inputs.member if self.clients.inputs else ""


class Replica:
    """A slot of a service, its store, and the process that runs there, if one does."""

    def __init__(self, simulation: Environment, service: Service, slot: int) -> None:
        self.simulation, self.service, self.name = simulation, service, f"{service.name}-{slot}"
        self.store = MemoryStore(())
        self.process: Process | None = None
        self.step_fault: StepFault | None = None
        self.skew = 0
        self.cut_until = 0
        self.frozen = self.doomed = self.retired = False
        self.release = simulation.first_release
        self.connection = Connection(
            lambda: simulation.clock.now >= self.cut_until, self._wait, simulation.dice
        )
        self._plan = 0
        self._planned: int | None = None
        self._idle = 0

    def clock(self) -> int:
        """What the machine's clock says."""
        return self.simulation.clock.now + self.skew

    def start(self) -> None:
        """A new process begins."""
        if self.process or self.retired:
            return
        self.simulation.say(self.name, "starts")
        self.process = Process(self)
        self._guarded(self.process.processor.begin)
        self.wake(1)

    def wake(self, ms: int) -> None:
        """Take the next turn in ``ms`` at the latest."""
        at = self.simulation.clock.now + ms
        if self._planned is not None and self._planned <= at:
            return
        self._planned, self._plan = at, self._plan + 1
        plan = self._plan
        self.simulation.clock.later(ms, lambda: self._turn(plan))

    def kill(self) -> None:
        """The process ends at once; another one starts in its slot soon."""
        if self.frozen:
            self.doomed = True
        elif self.process:
            self._die("is killed")

    def deploy(self, release: Release) -> None:
        """From the next start on, the code is of that release; it comes soon if it is of another now."""
        if release is not self.release:
            self.simulation.say(self.name, "is deployed anew: its code", release)
            self.release = release
            self.kill()

    def retire(self) -> None:
        """Leave the group in order, for good."""
        if self.process and not self.frozen and self.connection.up():
            self.simulation.say(self.name, "stops in order")
            process, self.retired = self.process, True
            assert process.clients.inputs
            self._guarded(process.clients.inputs.close)
            process.calls.dead = True
            self.process = None

    def cut(self, ms: int) -> None:
        """The brokers cannot be reached for ``ms``."""
        if self.process:
            self.simulation.say(self.name, "is cut off for", ms)
            self.cut_until = self.simulation.clock.now + ms
            until = self.cut_until
            self._silent(lambda: self.cut_until == until and self.simulation.clock.now < until)

    def after_step(self, step: Step, count: int) -> None:
        """The processor has done a step: a planned fault happens here."""
        if count:
            self._apply_step_fault(step.value)

    def trouble(self, place: str) -> None:
        """The producer is at a place inside the commit."""
        if place == "offsets" and self.simulation.chance(self.simulation.aborts):
            self.simulation.say(self.name, "meets an error that needs an abort")
            raise failure(22, abort=True)
        if self.simulation.chance(self.simulation.stuck):
            self.simulation.say(self.name, "gives up on its producer:", place)
            raise Stuck(place)
        self._apply_step_fault(place)

    def _apply_step_fault(self, place: str) -> None:
        step_fault = self.step_fault
        if step_fault is None or step_fault.step != place:
            return
        self.step_fault = None
        self.simulation.say(self.name, str(step_fault))
        if not step_fault.ms:
            raise Died
        self._freeze(self.simulation.clock.now + step_fault.ms)

    def _wait(self) -> None:
        if self.simulation.clock.now < self.cut_until:
            self._freeze(self.cut_until)

    def _freeze(self, until: int) -> None:
        """The simulation goes on without this process, which is stopped in the middle of its turn."""
        self.frozen, thawed = True, False
        self._silent(lambda: not thawed)
        self.simulation.clock.run_until(until)
        self.frozen, thawed = False, True
        if self.doomed:
            self.doomed = False
            raise Died
        self.simulation.say(self.name, "goes on")

    def _silent(self, still: Callable[[], bool]) -> None:
        """The member sends no heartbeats: if that lasts, the coordinator fences it after the session timeout."""
        assert self.process
        member, group = self.process.member, self.simulation.broker.groups[self.service.name]

        def fence() -> None:
            if still() and member in group.members:
                self.simulation.say(self.name, "is fenced: its session is over")
                group.leave(member)
                self.simulation.notify_members(self.service.name)

        self.simulation.clock.later(SESSION_TIMEOUT, fence)

    def _turn(self, plan: int) -> None:
        if plan != self._plan:
            return
        self._planned = None
        if self.frozen or not self.process:
            return
        committed, self.connection.missed = len(self.simulation.broker.committed), False
        if self._guarded(self.process.processor.turn):
            self._idle = 0 if len(self.simulation.broker.committed) > committed else self._idle + 1
            self.wake(self._pause(self.process))

    def _pause(self, process: Process) -> int:
        """Ms until the next turn, unless something wakes this replica earlier."""
        dice, now, tasks = self.simulation.dice, self.clock(), process.processor.tasks
        if self.connection.missed:
            return dice.randint(2, 20)
        if tasks.catching_up:
            return dice.randint(20, 60) * (1 + min(self._idle, 9))
        if process.processor.breaker.is_open:
            return dice.randint(100, 400)
        due = self.store.next_due(tasks.led)
        pause = IDLE if due is None else max(due - now, 300 if process.calls.in_flight() else 110)
        return min(pause, 1_100 if self._idle < 2 else IDLE) + dice.randint(0, 20)

    def _guarded(self, act: Callable[[], None]) -> bool:
        """Run a part of the process; returns whether the process still runs. Raises for an end that no fault
        explains."""
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
        process, simulation = self.process, self.simulation
        assert process
        simulation.say(self.name, how)
        self.process, self.step_fault = None, None
        process.calls.dead = True
        self._planned, self._plan = None, self._plan + 1
        member, group = process.member, simulation.broker.groups[self.service.name]

        def forget() -> None:
            if member in group.members:
                group.leave(member)
                simulation.notify_members(self.service.name)

        simulation.clock.later(SESSION_TIMEOUT, forget)
        simulation.clock.later(simulation.dice.randint(100, 4_000), self.start)
