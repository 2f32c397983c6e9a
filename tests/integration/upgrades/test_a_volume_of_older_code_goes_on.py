"""A volume that the code of an older commit wrote: today's code goes on with it, and answers as that code did.

``landed/`` has it, with orders that ended in every way, some of version 1, one that is held for a person, one that
waits for its next try, and one that payment has not read.
"""

from __future__ import annotations

import copy
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.operator import Operator
from tests.integration.orders import create, order_ids
from tests.integration.upgrades.record_volume import BROKER, ENDS, PARTITIONS, PREFIX
from tests.integration.upgrades.trees import LANDED
from tests.support.audits import assert_clean_audit
from tests.support.processes import ServiceProcess
from tests.support.system import SERVICES, System
from tests.support.waiting import eventually
from tools.stack.kafka import LocalKafka

ANSWERS: dict[str, dict[str, Any]] = json.loads((LANDED / "answers.json").read_text())
OPEN = ("held", "waiting", "unpaid")


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """The volume with a broker of its own, which holds nothing else."""
    volume = tmp_path / "volume"
    with tarfile.open(LANDED / "volume.tar.xz") as archive:
        archive.extractall(volume, filter="data")
    with LocalKafka(volume, overrides=BROKER, short_lived=True) as kafka:
        system = System(kafka.bootstrap_servers, volume, PARTITIONS, PREFIX)
        yield system
        system.close()


def as_answered_today(service: str) -> dict[str, Any]:
    """What was recorded, but for two things: version 1 knew no money, and older code took its price for zero; and a
    contact of older code has no language, which is shown."""
    expected = copy.deepcopy(ANSWERS[service])
    for events in (answer["events"] for path, answer in expected.items() if path.endswith("/events")):
        for data in (event["data"] for event in events if event["data"].get("contact")):
            data["contact"]["language"] = None
    if service == "order":
        for order in ("version-1", "version-1-short"):
            created = expected[f"/orders/{order}/events"]["events"][0]["data"]
            for body in (expected[f"/orders/{order}"], created):
                body["currency"] = body["totalAmount"] = body["items"][0]["unitPrice"] = None
    return expected


def answers(process: ServiceProcess, service: str) -> dict[str, Any]:
    return {path: process.get(path).json() for path in ANSWERS[service]}


def test_a_volume_of_older_code_goes_on(system: System) -> None:
    for name in ("payment", "notification"):  # order and inventory find their state, these two build it anew
        shutil.rmtree(system.database(name).parent)
    services = {name: system.service(name).start() for name in SERVICES if name != "payment"}
    rebuilt = system.service("order", slot=1).start()
    for process in (*services.values(), rebuilt):
        process.wait_ready()
    system.wait_consumed(*services)
    assert answers(services["order"], "order") == answers(rebuilt, "order") == as_answered_today("order")
    assert answers(services["inventory"], "inventory") == as_answered_today("inventory")

    simulator = system.simulator()
    services["payment"] = system.service("payment").start().wait_ready()
    payments = answers(services["payment"], "payment")
    for payment in payments.values():  # older code showed neither
        assert payment.pop("userId") in ("anne", None)
        assert payment.pop("createdAt") <= payment["updatedAt"]
    assert payments == as_answered_today("payment")
    (new,) = order_ids(1)
    system.topics.send(create(new))
    Operator(system, {"payment": services["payment"]}).dlq("redrive", "--key", "held", "--yes")

    wanted = ENDS | dict.fromkeys((*OPEN, new), "CONFIRMED")
    order = services["order"]

    def statuses() -> dict[str, str]:
        return {i: order.get(f"/orders/{i}").json()["status"] for i in wanted}

    eventually(lambda: statuses() == wanted, f"the orders end as {wanted}")
    assert simulator.doubles() == []
    assert_clean_audit(system, simulator)
    eventually(lambda: system.dump("order") == system.dump("order", slot=1), "both replicas hold the same")
