"""Records that somebody with access to Kafka writes: to command topics, to event logs and to retry topics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from eventbus.admin import Skip
from eventbus.kafka.records import partition_of
from eventbus.model.places import Position
from eventbus.model.record import Headers, Raw
from eventbus.processing.skips import PARTITION, TOPIC
from eventbus.retry.parked import ERRORS, RETRY
from schemas import CancelOrder, CreateOrder, Item, OrderPaid
from verification.sim.broker import Stored
from verification.sim.fault import Fault
from verification.sim.release import NOBODYS
from verification.sim.replica import Replica
from verification.sim.service import Environment

MARK = ("x-hostile", b"1")
LOG = "order.events"


class HostileTarget(Environment, Protocol):
    """What is needed of the simulation that is written to."""

    replicas: list[Replica]


def write(simulation: HostileTarget, fault: Fault) -> None:
    """Write one record. Which it is follows from the moment of the fault."""
    partition = partition_of(fault.key.encode(), simulation.partitions)
    writers = (
        _nonsense,
        _lossy_key,
        _later_version,
        _unreadable,
        _parked_for_nobody,
        _due_for_ever,
        _nobodys,
        _of_newer_code,
    )
    simulation.say("somebody", "writes", writers[fault.at % len(writers)].__name__[1:])
    writers[fault.at % len(writers)](simulation, fault, partition)


def _nonsense(simulation: HostileTarget, fault: Fault, partition: int) -> None:
    topic = ("order.commands", "stock.commands")[fault.at % 2]
    _append(simulation, topic, partition, fault.key.encode(), b"nonsense", [])


def _nobodys(simulation: HostileTarget, fault: Fault, partition: int) -> None:
    """A command of a schema that nobody will ever know. It parks the key of a real order."""
    headers: Headers = [("ce_type", CancelOrder.name.encode())]
    _append(simulation, CancelOrder.topic, partition, fault.key.encode(), NOBODYS, headers)


def _lossy_key(simulation: HostileTarget, fault: Fault, partition: int) -> None:
    """Two keys that look the same once they are decoded."""
    key = b"\xff\xff"
    headers: Headers = [("ce_type", CreateOrder.name.encode())]
    items = (Item(product_id="cup", quantity=1, unit_price=1),)
    order_id = key.decode("utf-8", "replace")
    value = simulation.codec.encode(
        CreateOrder(order_id=order_id, user_id="eve", items=items, currency="GBP")
    )
    _append(simulation, CreateOrder.topic, partition_of(key, simulation.partitions), key, value, headers)


def _later_version(simulation: HostileTarget, fault: Fault, partition: int) -> None:
    value = simulation.codec.encode(OrderPaid(order_id=fault.key, amount=1, currency="GBP"))
    _append(simulation, LOG, partition, fault.key.encode(), value, _claim(partition, 99))


def _unreadable(simulation: HostileTarget, fault: Fault, partition: int) -> None:
    """It could be the next event of its key, but nobody can read it."""
    _next_event(simulation, fault, partition, b"nonsense")


def _of_newer_code(simulation: HostileTarget, fault: Fault, partition: int) -> None:
    """It could be the next event of its key, in a version that a later release has; but no release has it."""
    _next_event(simulation, fault, partition, NOBODYS)


def _next_event(simulation: HostileTarget, fault: Fault, partition: int, value: bytes) -> None:
    known = [r for r in simulation.broker.log(LOG, partition).visible() if r.key == fault.key.encode()]
    version = len([r for r in known if not is_hostile(r)]) + 1
    _append(simulation, LOG, partition, fault.key.encode(), value, _claim(partition, version))


def _parked_for_nobody(simulation: HostileTarget, fault: Fault, partition: int) -> None:
    _park(simulation, fault, partition, {"log": "nobody.events"})


def _due_for_ever(simulation: HostileTarget, fault: Fault, partition: int) -> None:
    _park(simulation, fault, partition, {"due": "9" * 30})


def _park(simulation: HostileTarget, fault: Fault, partition: int, change: dict[str, str]) -> None:
    place = f"order.commands-{partition}-{10**9}"
    waits = {"log": LOG, "key": fault.key, "sequence": "1", "state": "WAITING"}
    waits |= {"attempt": "1", "due": "0", "since": "0"} | change
    about = {"topic": "order.commands", "partition": str(partition), "offset": str(10**9), "timestamp": "0"}
    about |= {"exception": "", "message": "", "stacktrace": ""}
    headers: Headers = [(RETRY + name, text.encode()) for name, text in waits.items()]
    headers += [(ERRORS + name, text.encode()) for name, text in about.items()]
    _append(simulation, "order.retry", partition, place.encode(), b"nonsense", headers)


def _claim(partition: int, version: int) -> Headers:
    cause = f"payment.events-{partition}-{10**9}"
    return [("ce_type", b"OrderPaid"), ("cause", cause.encode()), ("keyversion", b"%d" % version)]


def _append(
    simulation: HostileTarget, topic: str, partition: int, key: bytes, value: bytes, headers: Headers
) -> None:
    simulation.broker.append(topic, partition, key, value, [*headers, MARK], True)


def is_hostile(record: Stored | Raw) -> bool:
    """Whether it was written by :func:`write`."""
    return MARK in record.headers


def set_aside(simulation: HostileTarget) -> None:
    """An operator skips the hostile records that stop a task. What newer code wrote waits for that code."""
    stops = {
        stop.place
        for replica in simulation.replicas
        if replica.process
        for stop in replica.process.processor.stops().values()
        if any(r.offset == stop.place.offset and is_hostile(r) for r in _log_of(simulation, stop.place))
    }
    for place in sorted(stops - skipped(simulation)):
        simulation.say("operator", "skips", place)
        value = simulation.codec.encode(Skip(record=str(place), reason="nobody can read it"))
        headers: Headers = [("ce_type", Skip.name.encode())]
        simulation.broker.append(TOPIC, PARTITION, str(place).encode(), value, headers, True)


def _log_of(simulation: HostileTarget, place: Position) -> Iterable[Stored]:
    return simulation.broker.log(place.topic, place.partition).visible()


def skipped(simulation: HostileTarget) -> set[Position]:
    """The records that operators have set aside."""
    return {
        Position.parse((record.key or b"").decode())
        for record in simulation.broker.log(TOPIC, PARTITION).visible()
    }
