"""What a command led to, asked of a replica that decides it and of one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.integration.orders import order_ids
from tests.support.processes import ServiceProcess
from tests.support.system import System
from tests.support.waiting import eventually

REPLICAS = 2


@pytest.fixture(scope="module")
def replicas(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ServiceProcess]]:
    system = System(kafka, tmp_path_factory.mktemp("answers"), partitions=4)
    started = [system.service("order", slot, module="tests.integration.silent") for slot in range(REPLICAS)]
    for replica in started:
        replica.start()
    for replica in started:
        replica.wait_ready()
    eventually(lambda: [r.leads() for r in started] == [2, 2], "each leads half of the tasks")
    yield started
    system.close()


def ask(replica: ServiceProcess, command: str, key: str, seconds: float = 10.0) -> httpx.Response:
    return replica.post(f"/ask/{command}/{key}", params={"seconds": seconds}, timeout=20.0)


@pytest.mark.parametrize("command", ["create", "cancel"])
def test_who_leads_and_who_does_not_tell_what_a_command_led_to(
    replicas: list[ServiceProcess], command: str
) -> None:
    """A command that led to no event is answered as soon as it is decided; who follows hears of that in a second."""
    expected = {"create": ["OrderCreated"], "cancel": []}[command]
    for key in order_ids(12):
        took = []
        for replica in replicas:
            answer = ask(replica, command, key)
            assert answer.status_code == 200, answer.text
            assert answer.json()["events"] == expected
            took.append(answer.json()["took"])
        assert min(took) < 2.0, "one of them decides it"
        assert max(took) < 6.0


def test_no_event_is_ever_overlooked(replicas: list[ServiceProcess]) -> None:
    """The decision on a command and its event come at the same moment: whoever sees the first has the second."""
    with ThreadPoolExecutor(24) as customers:
        asked = [
            customers.submit(ask, replicas[n % REPLICAS], "create", key)
            for n, key in enumerate(order_ids(600))
        ]
        answers = [one.result() for one in asked]
    assert {answer.status_code for answer in answers} == {200}
    assert {tuple(answer.json()["events"]) for answer in answers} == {("OrderCreated",)}


def test_a_command_that_waits_behind_a_failure_is_not_taken_for_decided(
    replicas: list[ServiceProcess],
) -> None:
    """Its offset is committed and there is no event, but it is parked: the answer is yet to come."""
    keys = order_ids(4)
    with ThreadPoolExecutor(8) as customers:
        for failing in [customers.submit(ask, replicas[0], "complete", key, 0.5) for key in keys]:
            assert failing.result().status_code == 504
        asked = [customers.submit(ask, replica, "cancel", key, 3.0) for key in keys for replica in replicas]
        assert {one.result().status_code for one in asked} == {504}
