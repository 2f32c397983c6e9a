"""One simulation: four services with their replicas, a broker, a gateway and a channel, and a plan of what
happens."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from uuid import NAMESPACE_OID, uuid5

from eventbus import Message, RequestId
from eventbus.admin import Discard, Redrive
from eventbus.codec import Codec
from eventbus.kafka.records import partition_of
from eventbus.retry.parked import State
from schemas import CancelOrder, CompleteOrder
from verification.sim import hostile
from verification.sim.broker import Broker, Stored, Transaction
from verification.sim.clock import START, Clock
from verification.sim.fault import Fault
from verification.sim.groups import Group
from verification.sim.memory import InternedCodec
from verification.sim.outside import Conditions, Gateway, Network, NoticeChannel
from verification.sim.plan import LENGTH, SimulationPlan
from verification.sim.release import Release, ReleasedCodec
from verification.sim.replica import Replica
from verification.sim.service import Service
from verification.sim.trace import Trace
from verification.sim.wiring import services, settings

PATIENCE = 240_000
"""Ms that a simulation may take to come to rest once all faults have ended."""


class Simulation:
    """Everything that one seed needs. ``run`` carries the plan out; the oracle checks the result."""

    def __init__(
        self, plan: SimulationPlan, *, codec: Codec | None = None, trace: Trace | None = None
    ) -> None:
        self.plan, self.clock, self.dice = plan, Clock(), Random(f"{plan.seed} lived")
        self._repeating = Random(f"{plan.seed} repeated")
        self.trace = trace or Trace()
        known = codec or InternedCodec()
        self._codecs = {release: ReleasedCodec(known, plan.evolved, release) for release in Release}
        self.codec: Codec = self._codecs[Release.WRITES]
        self.partitions, self.aborts, self.stuck = plan.partitions, plan.aborts, plan.stuck
        self.settings = settings().model_copy(
            update={"retry_attempts": plan.attempts, "breaker_threshold": plan.breaker}
        )
        self.broker = Broker(self.clock, self.dice, self._changed)
        self.broker.slow_markers = plan.slow_markers
        self.broker.on_commit = self._committed
        self.conditions = Conditions(refused=plan.refused, lost=plan.lost, late=plan.delayed)
        self.channel_conditions = Conditions(refused=plan.refused / 2, lost=plan.lost / 2)
        self.gateway = Gateway(Network(self.clock, self.dice, self.conditions), self.say)
        self.channel = NoticeChannel(Network(self.clock, self.dice, self.channel_conditions))
        self.first_release = Release.BEFORE if plan.evolved else Release.WRITES
        self.bugs: set[tuple[str, str]] = set()
        """(name, key) of messages that no decider understands, for now."""
        self.unfinished: list[str] = []
        self.late: list[str] = []
        """Events that were published after somebody had to know them."""
        self.largest_skew = max(map(abs, plan.skews)) + sum(f.ms for f in plan.faults if f.what == "clock")
        self.services = services(plan, self.gateway, self.channel, self.bugs)
        self.replicas: list[Replica] = []
        skews = iter(plan.skews)
        for service in self.services.values():
            self.broker.groups[service.name] = Group(service.inputs, self.partitions)
            for _ in range(plan.replicas[service.name]):
                self.add_replica(service).skew = next(skews)
        self._readers = {
            topic: [s.name for s in self.services.values() if topic in (*s.inputs, *s.logs)]
            for s in self.services.values()
            for topic in (*s.inputs, *s.logs)
        }

    def run(self, apply: Callable[[Simulation, Fault], None]) -> None:
        """Carry out the plan, end all faults, and wait until nothing is left to do. ``apply`` carries out one
        fault."""
        for replica in list(self.replicas):
            self.clock.later(self.dice.randint(0, 500), replica.start)
        for at, command in self.plan.commands:
            self.clock.later(at, lambda w=command: self.send(w))  # type: ignore[misc]
        for fault in self.plan.faults:
            self.clock.later(fault.at, lambda f=fault: apply(self, f))  # type: ignore[misc]
        self.clock.run_until(START + LENGTH)
        self._heal()
        end = self.clock.now + PATIENCE
        while unfinished_work := self.unfinished_work():
            if self.clock.now >= end:
                self.unfinished = unfinished_work
                return
            self._act_as_operator()
            self.clock.run_until(self.clock.now + 3_000)

    def say(self, who: str, *what: object) -> None:
        """Add a line to the trace."""
        self.trace.line(self.clock.now - START, who, what)

    def chance(self, share: float) -> bool:
        return share > 0 and self.dice.random() < share

    def codec_of(self, release: Release) -> Codec:
        return self._codecs[release]

    def send(self, message: Message, topic: str | None = None) -> None:
        """A client sends a command, durably. Some clients are of the release before."""
        older = self.chance(0.5 if self.plan.evolved else 0)
        stamped = message.stamp(self.clock.now)
        key = message.key.encode()
        self.say("client", "sends", message.name, message.key)
        self.broker.append(
            topic or message.topic,
            partition_of(key, self.partitions),
            key,
            self.codec_of(Release.BEFORE if older else Release.WRITES).encode(stamped),
            [("ce_type", message.name.encode()), *self._request(message)],
            True,
        )

    def _request(self, message: Message) -> list[tuple[str, bytes]]:
        """Half of those who cancel or complete an order repeat one request, however often they send it.

        The release before hands on no id of what it answers, so it remembers no requests.
        """
        changes = isinstance(message, CancelOrder | CompleteOrder) and not self.plan.evolved
        if not changes or self._repeating.random() < 0.5:
            return []
        request = RequestId(str(uuid5(NAMESPACE_OID, f"{message.key} {message.name}")), "aa")
        return [("ce_id", str(request).encode())]

    def notify_members(self, service: str) -> None:
        """A service's group has changed: its members notice with their next heartbeat."""
        for replica in self.replicas:
            if replica.service.name == service:
                replica.wake(self.dice.randint(20, 300))

    def unfinished_work(self) -> list[str]:
        """What is still to be done; empty once the simulation has come to rest."""
        found = [f"{r.name} does not run" for r in self.replicas if not (r.process or r.retired)]
        found += [f"a transaction of {t.producer} shows in part" for t in self.broker.committed if t.unmarked]
        for name, group in self.broker.groups.items():
            for topic in self.services[name].inputs:
                for i in range(self.partitions):
                    upto = group.committed.get((topic, i), 0)
                    ahead = [r for r in self.broker.log(topic, i).visible() if r.offset >= upto]
                    if ahead:
                        found.append(f"{name} has not decided {topic}-{i}-{ahead[0].offset}")
        for replica in self.replicas:
            if not replica.retired:
                waiting = replica.store.parked.open()
                found += [f"{p.raw.coordinates} waits in {replica.name}: {p.state}" for p in waiting]
                found += [f"{key} is open in {replica.name}" for _, key in replica.store.open_deadlines()]
                found += [
                    f"{replica.name} has not folded {log}-{i}"
                    for log in replica.service.logs
                    for i in range(self.partitions)
                    if any(
                        r.offset >= replica.store.checkpoint(log, i)
                        and not (hostile.is_hostile(r) or _forged(log, r))
                        for r in self.broker.log(log, i).visible()
                    )
                ]
            if replica.process:
                stops = replica.process.processor.stops().values()
                found += [f"{stop.place} stops {replica.name}" for stop in stops]
        return found

    def add_replica(self, service: Service) -> Replica:
        slot = sum(r.service is service for r in self.replicas)
        replica = Replica(self, service, slot)
        replica.connection.late = self.plan.late
        self.replicas.append(replica)
        return replica

    def _changed(self, topic: str, partition: int) -> None:
        """A partition has new records: its leader reads them soon, its followers later."""
        names = self._readers.get(topic, ())
        for replica in self.replicas:
            if replica.process and replica.service.name in names:
                led = partition in replica.process.processor.tasks.led
                if topic in replica.service.inputs and led:
                    replica.wake(self.dice.randint(1, 15))
                elif topic in replica.service.logs and not led:
                    replica.wake(self.dice.randint(50, 700))

    def _committed(self, transaction: Transaction) -> None:
        self.trace.committed(self.clock.now - START, transaction, self.codec)

    def _heal(self) -> None:
        self.say("simulation", "is healed")
        self.conditions.clear()
        self.channel_conditions.clear()
        self.gateway.healed, self.aborts, self.stuck, self.broker.slow_markers = True, 0.0, 0.0, 0.0
        self.bugs.clear()
        if self.chance(0.5 if self.plan.evolved else 0):  # from now on no process reads the old names only
            self.say("operator", "has the old names of headers written no more")
            self.settings = self.settings.model_copy(update={"old_headers": False})
        for replica in self.replicas:
            replica.step_fault, replica.connection.late = None, 0.0
            replica.skew = 0
            if self.plan.evolved:
                replica.deploy(Release.WRITES)

    def _act_as_operator(self) -> None:
        """An operator skips records that stop a task, and redrives or discards dead letters."""
        hostile.set_aside(self)
        dead = {
            (replica.service.name, parked.key, hostile.is_hostile(parked.raw))
            for replica in self.replicas
            if replica.process
            for parked in replica.store.parked.open()
            if parked.state is State.DEAD
        }
        for service, key, nobodys in sorted(dead):
            command: Message = Redrive(message_key=key)
            if nobodys:
                command = Discard(message_key=key, count=1)
            elif service == "notification" and self.chance(0.3):
                command = Discard(message_key=key)
            self.send(command, f"{service}.admin")


def _forged(log: str, record: Stored) -> bool:
    """Whether no processor wrote the record. A leader does not read its own log, so its checkpoint passes the
    record with its next event."""
    return not log.endswith(".retry") and not any(
        name in ("keyversion", "ce_keyversion") for name, _ in record.headers
    )
