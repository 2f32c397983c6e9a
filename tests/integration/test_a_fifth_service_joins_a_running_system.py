"""A fifth service joins a running system: it reads OrderCreated and touches nothing else."""

from __future__ import annotations

import shutil

from eventbus.kafka.topics import create
from examples.fraud.messages import FraudSuspected, OrderCleared
from tests.integration.orders import create as command
from tests.integration.orders import order_ids
from tests.support.processes import ServiceProcess
from tests.support.system import System
from tests.support.waiting import eventually
from tools.registry import BY_NAME
from tools.wiring import codec, topics


def fraud(system: System) -> ServiceProcess:
    create(system.settings, topics([BY_NAME["fraud"]]))
    system.topics.codec = codec()
    return system.service("fraud").start().wait_ready()


def verdicts(system: System, count: int) -> dict[str, str]:
    """What the log says of each order, once it speaks of that many."""

    def look() -> dict[str, str]:
        found = system.topics.messages("fraud.events")
        assert len(found) == count, found
        return {message.key: message.name for message in found}

    return eventually(look, f"{count} orders are screened")


def test_it_screens_orders_of_before_and_after_it_came_and_touches_nothing_else(system: System) -> None:
    system.start("order")
    early, late, many = order_ids(3)
    system.topics.send(command(early))
    eventually(lambda: system.topics.read("order.events"), "the first order is created")
    screening = fraud(system)
    system.topics.send(command(late), command(many, quantity=1_000))

    wanted = {early: OrderCleared.name, late: OrderCleared.name, many: FraudSuspected.name}
    assert verdicts(system, 3) == wanted
    assert screening.get(f"/screenings/{many}").json() == {"orderId": many, "verdict": FraudSuspected.name}
    assert screening.get("/screenings/nobody").status_code == 404

    written = {
        topic
        for topic in ("payment.events", "inventory.events", "stock.commands")
        if system.topics.read(topic)
    }
    assert written == set()
    assert [m.name for m in system.topics.messages("order.events")] == ["OrderCreated"] * 3
    assert len(system.topics.read("order.commands")) == 3
    assert system.topics.read("order.dlq") == system.topics.read("fraud.dlq") == []


def test_it_keeps_what_every_service_keeps(system: System) -> None:
    """Its state is rebuilt from its log, and input read again from offset 0 is answered by that state."""
    system.start("order")
    screening = fraud(system)
    orders = order_ids(20)
    system.topics.send(*(command(order) for order in orders))
    before = verdicts(system, 20)
    system.wait_consumed("fraud")
    state, ends = system.dump("fraud"), system.topics.ends("fraud.events")

    screening.stop()
    shutil.rmtree(system.database("fraud").parent)
    system.topics.rewind("fraud")
    screening.start().wait_ready()
    system.wait_consumed("fraud")

    assert verdicts(system, 20) == before
    assert system.topics.ends("fraud.events") == ends
    assert system.dump("fraud") == state
