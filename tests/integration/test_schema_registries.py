"""Services with a schema registry: of the files, of somebody else, one that is away, and one that only some use."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventbus.codec import load_packages
from eventbus.registry.agreement import entries
from eventbus.registry.api import RegistryApi
from eventbus.settings import RegistrySettings
from eventbus.wire_format import DATASCHEMA
from testbed.registry import FakeRegistry, serving
from tests.support import official_client
from tests.support.apicurio import NotHere, apicurio
from tests.support.processes import ServiceProcess
from tests.support.system import System
from tests.support.waiting import eventually
from tools.registry import SCHEMAS
from tools.schema_registry.answers import SchemaFiles
from tools.schema_registry.register import Filled, fill
from tools.schema_registry.server import SchemaServer
from tools.stack.ports import free_port
from tools.stack.settings import StackSettings

KNOWN = entries(load_packages(SCHEMAS))
PINNED = {str(entry.version): entry.pinned for entry in KNOWN}
CACHE = StackSettings.from_env({}).cache_dir
FAR = 100_001


@pytest.fixture
def files() -> Iterator[str]:
    """The URL of a registry as `make registry` serves it."""
    with SchemaServer(SchemaFiles(KNOWN)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


def post(order: ServiceProcess) -> str:
    answer = order.post("/orders", json={"userId": "u1", "productId": "p1", "quantity": 2})
    assert answer.status_code == 202, answer.text
    order_id: str = answer.json()["orderId"]
    return order_id


def read_and_answered_by_the_official_client(system: System, order: ServiceProcess, registry: str) -> None:
    """AvroDeserializer reads an event of a service, and the service obeys a command of AvroSerializer."""
    order_id, servers = post(order), system.settings.bootstrap_servers
    eventually(lambda: order.get(f"/orders/{order_id}").status_code == 200, "the order is there")

    (created,) = official_client.read(CACHE, servers, registry, system.settings.topic("order.events"))

    assert (created["key"], created["type"]) == (order_id, "OrderCreated")
    record = created["record"]
    assert (record["orderId"], record["items"][0]["quantity"]) == (order_id, 2)
    command = {"orderId": order_id, "reason": "by the official client", "timestamp": 0}
    topic = system.settings.topic("order.commands")
    official_client.send(CACHE, servers, registry, topic, "orders.CancelOrder", command)
    is_cancelled = lambda: order.get(f"/orders/{order_id}").json()["status"] == "CANCELLED"  # noqa: E731
    eventually(is_cancelled, "the order is cancelled")


@pytest.mark.timeout(600)  # it makes an environment the first time
def test_the_official_client_reads_a_local_stack_by_the_registry_of_the_files(
    system: System, files: str
) -> None:
    (order,) = system.start("order")
    read_and_answered_by_the_official_client(system, order, files)


def filled(url: str) -> Filled:
    async def fill_it() -> Filled:
        api = RegistryApi(RegistrySettings(url=url))
        try:
            return await fill(api, KNOWN)
        finally:
            await api.close()

    return asyncio.run(fill_it())


@pytest.mark.timeout(600)  # it fetches 150 MB the first time
def test_services_and_the_official_client_share_a_registry_that_we_did_not_write(
    system: System, tmp_path: Path
) -> None:
    """Apicurio counts from 1 and lets nobody choose: what is not numbered alike by chance gets an id of its own."""
    try:
        with apicurio(tmp_path / "apicurio.log") as url:
            result = filled(url)
            assert result.others["Redrive.v1"] != PINNED["Redrive.v1"]
            assert "OrderCreated.v2" not in result.others
            assert filled(url) == result, "repeated, it changes nothing"

            (order,) = system.start("order", SCHEMA_REGISTRY_URL=url)
            read_and_answered_by_the_official_client(system, order, url)
    except NotHere as reason:
        pytest.skip(str(reason))


def test_a_registry_that_only_one_replica_uses_and_that_goes_away_loses_and_confuses_nothing(
    system: System,
) -> None:
    fake = FakeRegistry(next_id=FAR, port=free_port())
    simulator = system.simulator()
    with serving(fake):
        (registered,) = system.start("order", SCHEMA_REGISTRY_URL=fake.url)
        plain, _ = system.start("order", slot=1), system.start("payment")
        replicas = [registered, plain[0]]
        eventually(lambda: all(r.leads() for r in replicas), "each leads some tasks")
        orders: list[str] = []

        def both_write() -> bool:
            # Which replica decides an order, its partition says; new ones go to one partition after the other.
            orders.extend(post(replica) for replica in replicas)
            return min(written_under(system).values()) > 0

        eventually(both_write, "each replica has written events")
        paid_everywhere(replicas, orders)
    written_under(system)

    more = [post(replica) for replica in replicas * 3]
    paid_everywhere(replicas, more)  # the registry is away: what it said is known

    registered.stop()
    registered.start()
    eventually(
        lambda: "waiting for the schema registry" in why_not_ready(registered), "it says what it waits for"
    )
    paid_everywhere(replicas[1:], [post(plain[0])])
    with serving(fake):
        registered.wait_ready()
        paid_everywhere(replicas, [*orders, *more, post(registered)])
    assert simulator.doubles() == []


def written_under(system: System) -> dict[str, int]:
    """How many events have an id of the registry, which the header explains, and how many a pinned one."""
    under = {"registry": 0, "pinned": 0}
    for raw in system.topics.read("order.events"):
        schema_id = int.from_bytes((raw.value or b"")[1:5], "big")
        name = f"urn:avsc:{raw.header('ce_type')}." if schema_id >= FAR else ""
        assert (raw.header(DATASCHEMA) or "").startswith(name)
        assert (raw.header(DATASCHEMA) is None) is (schema_id < FAR)
        under["registry" if schema_id >= FAR else "pinned"] += 1
    return under


def paid_everywhere(replicas: list[ServiceProcess], orders: list[str]) -> None:
    def is_paid(replica: ServiceProcess, order_id: str) -> bool:
        answer = replica.get(f"/orders/{order_id}")
        return answer.status_code == 200 and answer.json()["payment"] == "PAID"

    for replica in replicas:
        for order_id in orders:
            eventually(lambda r=replica, o=order_id: is_paid(r, o), f"{order_id} is paid")  # type: ignore[misc]


def why_not_ready(replica: ServiceProcess) -> str:
    try:
        answer = replica.get("/readyz", timeout=2.0)
    except Exception:
        return ""
    return "" if answer.status_code == 200 else answer.text


def test_a_registry_with_another_schema_under_a_pinned_id_is_refused_at_the_start(system: System) -> None:
    with serving(FakeRegistry(schemas={7: '"string"'})) as fake:
        replica = system.service("order", SCHEMA_REGISTRY_URL=fake.url).start()
        assert replica.wait_end() == 1
    assert "has another schema under the id 7, which is pinned to OrderCreated.v2" in replica.tail(40)
    assert fake.subjects == {}
    assert system.topics.read("order.events") == []
