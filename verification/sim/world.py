"""A world: four services with their replicas, a broker, an outside, and what happens to them by a story."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache, partial
from random import Random
from typing import Any

from eventbus import Decider, Message
from eventbus.admin import Discard, Redrive
from eventbus.cli.creation import load
from eventbus.codec import Codec
from eventbus.kafka.records import partition_of
from eventbus.retry.parked import State
from eventbus.settings import Settings
from services.inventory.reservation import reservation_decider
from services.inventory.stock import stock_decider
from services.notification.channel import Messenger
from services.notification.decider import notification_reactor
from services.order.decider import order_decider
from services.payment.decider import give_up, payment_reactor
from services.payment.idempotent_gateway import IdempotentGateway
from tools.registry import BY_NAME
from verification.sim import hostile
from verification.sim.broker import Broker, Stored, Transaction
from verification.sim.clock import START, Clock
from verification.sim.forger import forged
from verification.sim.groups import Group
from verification.sim.memory import Interned, MemoryStore
from verification.sim.outside import Gateway, Mailbox, Network, Weather
from verification.sim.replica import Replica, Service
from verification.sim.story import LENGTH, SERVICES, Fault, Story
from verification.sim.trace import Trace

PATIENCE = 240_000
"""Ms that a healed world may take to come to rest."""


def _rules_of(name: str, clock: Callable[[], int]) -> Sequence[Decider[Any]]:
    """The deciders of a service of which the simulator knows nothing else."""
    return load(BY_NAME[name].wiring).deciders


class World:
    """Everything there is in one seed. ``run`` lives it through; the oracle judges what is left."""

    def __init__(self, story: Story, *, codec: Codec | None = None, trace: Trace | None = None) -> None:
        self.story, self.clock, self.dice = story, Clock(), Random(f"{story.seed} lived")
        self.trace = trace or Trace()
        self.codec = codec or Interned()
        self.partitions, self.aborts, self.stuck = story.partitions, story.aborts, story.stuck
        self.settings = settings().model_copy(
            update={"retry_attempts": story.attempts, "breaker_threshold": story.breaker}
        )
        self.broker = Broker(self.clock, self.dice, self._changed)
        self.broker.slow_markers = story.slow_markers
        self.broker.on_commit = self._committed
        self.weather = Weather(refused=story.refused, lost=story.lost, late=story.delayed)
        self.channel_weather = Weather(refused=story.refused / 2, lost=story.lost / 2)
        self.gateway = Gateway(Network(self.clock, self.dice, self.weather), self.say)
        self.mailbox = Mailbox(Network(self.clock, self.dice, self.channel_weather))
        self.bugs: set[tuple[str, str]] = set()
        """(name, key) of messages that no decider understands, for now."""
        self.restless: list[str] = []
        self.late: list[str] = []
        """Events that were told when it was too late for those who wait for them."""
        self.largest_skew = max(map(abs, story.skews)) + sum(f.ms for f in story.faults if f.what == "clock")
        self.services = self._services()
        self.replicas: list[Replica] = []
        skews = iter(story.skews)
        for service in self.services.values():
            self.broker.groups[service.name] = Group(service.inputs, self.partitions)
            for _ in range(story.replicas[service.name]):
                self._replica(service).skew = next(skews)
        self._readers = {
            topic: [s.name for s in self.services.values() if topic in (*s.inputs, *s.logs)]
            for s in self.services.values()
            for topic in (*s.inputs, *s.logs)
        }

    def run(self) -> None:
        """From the first wish until the world, healed, has come to rest."""
        for replica in list(self.replicas):
            self.clock.later(self.dice.randint(0, 500), replica.start)
        for at, wish in self.story.wishes:
            self.clock.later(at, lambda w=wish: self.send(w))  # type: ignore[misc]
        for fault in self.story.faults:
            self.clock.later(fault.at, lambda f=fault: self._befall(f))  # type: ignore[misc]
        self.clock.run_until(START + LENGTH)
        self._heal()
        end = self.clock.now + PATIENCE
        while unrest := self.unrest():
            if self.clock.now >= end:
                self.restless = unrest
                return
            self._operate()
            self.clock.run_until(self.clock.now + 3_000)

    def say(self, who: str, *what: object) -> None:
        """Put something on the trace."""
        self.trace.line(self.clock.now - START, who, what)

    def chance(self, share: float) -> bool:
        return share > 0 and self.dice.random() < share

    def send(self, message: Message, topic: str | None = None) -> None:
        """A client sends a command, durably."""
        stamped = message.stamp(self.clock.now)
        key = message.key.encode()
        self.say("client", "sends", message.name, message.key)
        self.broker.append(
            topic or message.topic,
            partition_of(key, self.partitions),
            key,
            self.codec.encode(stamped),
            [("ce_type", message.name.encode())],
            True,
        )

    def stir(self, service: str) -> None:
        """Something happened in a service's group: its members hear of it with their next heartbeat."""
        for replica in self.replicas:
            if replica.service.name == service:
                replica.wake(self.dice.randint(20, 300))

    def unrest(self) -> list[str]:
        """What is still to be done; nothing, if the world has come to rest."""
        found = [f"{r.name} does not run" for r in self.replicas if not (r.process or r.retired)]
        for name, group in self.broker.groups.items():
            for topic in self.services[name].inputs:
                for i in range(self.partitions):
                    upto = group.committed.get((topic, i), 0)
                    ahead = [r for r in self.broker.log(topic, i).visible() if r.offset >= upto]
                    if ahead:
                        found.append(f"{name} has not decided {topic}-{i}-{ahead[0].offset}")
        for replica in self.replicas:
            if not replica.retired:
                waiting = replica.store.waiting.open()
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

    def _services(self) -> dict[str, Service]:
        def order(clock: Callable[[], int]) -> Sequence[Decider[Any]]:
            return (order_decider(timedelta(milliseconds=self.story.deadline)),)

        def pay(clock: Callable[[], int]) -> Sequence[Decider[Any]]:
            on_retries_exhausted = give_up if self.story.gives_up else None
            return (payment_reactor(IdempotentGateway(self.gateway, clock).call, on_retries_exhausted),)

        def stock(clock: Callable[[], int]) -> Sequence[Decider[Any]]:
            return (reservation_decider(self.story.wave), stock_decider())

        def notify(clock: Callable[[], int]) -> Sequence[Decider[Any]]:
            return (notification_reactor(Messenger(self.mailbox).call),)

        starts = {"order": order, "payment": pay, "inventory": stock, "notification": notify}
        services = {}
        for name in SERVICES:
            start = starts.get(name) or partial(_rules_of, name)
            deciders = start(lambda: 0)
            inputs = sorted({cls.topic for d in deciders for cls in d.inputs})
            services[name] = Service(
                name,
                lambda clock, s=start: [self._with_bugs(d) for d in s(clock)],  # type: ignore[misc]
                (*inputs, f"{name}.admin"),
                (*(d.log for d in deciders), f"{name}.retry"),
            )
        return services

    def _with_bugs(self, decider: Decider[Any]) -> Decider[Any]:
        bugs, decide = self.bugs, decider.decide

        def decide_if_understood(message: Any, state: Any) -> Sequence[Any]:
            if bugs and isinstance(message, Message) and (message.name, message.key) in bugs:
                raise RuntimeError(f"a rule does not understand {message.name}")
            return decide(message, state)

        return replace(decider, decide=decide_if_understood)

    def _replica(self, service: Service) -> Replica:
        slot = sum(r.service is service for r in self.replicas)
        replica = Replica(self, service, slot)
        replica.line.late = self.story.late
        self.replicas.append(replica)
        return replica

    def _changed(self, topic: str, partition: int) -> None:
        """A partition shows something new: who leads it reads it soon, who follows it in a while."""
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

    def _befall(self, fault: Fault) -> None:
        """Let a fault happen."""
        slots = [r for r in self.replicas if r.service.name == fault.service and not r.retired]
        replica = slots[min(fault.slot, len(slots) - 1)]
        match fault.what:
            case "strike":
                replica.strike = fault.strike
            case "kill":
                replica.kill()
            case "cut":
                replica.cut(fault.ms)
            case "wipe":
                replica.kill()
                if not replica.process:
                    self.say(replica.name, "loses its state directory")
                    replica.store = MemoryStore(())
            case "join":
                self._replica(replica.service).start()
                self.stir(fault.service)
            case "retire" if len(slots) > 1:
                replica.retire()
                self.stir(fault.service)
            case "clock":
                self.say(replica.name, "its clock jumps by", fault.ms)
                replica.skew += fault.ms if fault.slot else -fault.ms
            case "gateway away":
                self._bad_weather(self.weather, "gateway", fault.ms)
            case "channel away":
                self._bad_weather(self.channel_weather, "channel", fault.ms)
            case "channel refuses":
                self.channel_weather.poison = 0.5
            case "bug":
                self.say("world", "nobody understands", fault.name, fault.key)
                self.bugs.add((fault.name, fault.key))
                if fault.slot:
                    self.clock.later(fault.ms, self.bugs.clear)
            case _:
                self._more(fault)

    def _more(self, fault: Fault) -> None:
        partition = partition_of(fault.key.encode(), self.partitions)
        match fault.what:
            case "again":
                self._again(("order.commands", "stock.commands", "inventory.answers")[fault.at % 3])
            case "compact":
                self.broker.compact(f"{fault.service}.retry", partition)
            case "redrive":
                self.send(Redrive(message_key=fault.key), f"{fault.service}.admin")
            case "discard":
                self.send(Discard(message_key=fault.key), "notification.admin")
            case "replay":
                self.say("operator", "stops", fault.service, "to begin again from offset 0")
                for replica in self.replicas:
                    if replica.service.name == fault.service:
                        replica.kill()
                self.broker.groups[fault.service].committed.clear()
            case "forged":
                self.say("somebody", "forges", fault.name, fault.key)
                self.send(forged(fault.name, fault.key))
            case "foreign":
                hostile.write(self, fault)

    def _bad_weather(self, weather: Weather, side: str, ms: int) -> None:
        self.say(side, "is away for", ms)
        weather.away = True

        def back() -> None:
            weather.away = False

        self.clock.later(ms, back)

    def _again(self, topic: str) -> None:
        """A message that stands in a topic comes once more, at another place."""
        partition = self.dice.randrange(self.partitions)
        past = [r for r in self.broker.log(topic, partition).visible() if not hostile.is_hostile(r)]
        if past:
            record = self.dice.choice(past)
            self.say("world", "repeats", f"{topic}-{partition}-{record.offset}")
            headers = [(k, v) for k, v in record.headers if k not in ("cause", "keyversion")]
            self.broker.append(topic, partition, record.key, record.value, headers, True)

    def _heal(self) -> None:
        self.say("world", "is healed")
        self.weather.clear()
        self.channel_weather.clear()
        self.gateway.healed, self.aborts, self.stuck, self.broker.slow_markers = True, 0.0, 0.0, 0.0
        self.bugs.clear()
        for replica in self.replicas:
            replica.strike, replica.line.late = None, 0.0
            replica.skew = 0

    def _operate(self) -> None:
        """An operator skips what stops a task, and sends back to work whatever is dead."""
        hostile.set_aside(self)
        dead = {
            (replica.service.name, parked.key)
            for replica in self.replicas
            if replica.process
            for parked in replica.store.waiting.open()
            if parked.state is State.DEAD
        }
        for service, key in sorted(dead):
            gives_up = service == "notification" and self.chance(0.3)
            wish = Discard(message_key=key) if gives_up else Redrive(message_key=key)
            self.send(wish, f"{service}.admin")


def _forged(log: str, record: Stored) -> bool:
    """Whether no processor wrote the record. A leader does not read its own log: its next event passes the record."""
    return not log.endswith(".retry") and not any(name == "keyversion" for name, _ in record.headers)


@lru_cache(1)
def settings() -> Settings:
    return Settings(max_event_bytes=1_000_000)
