"""What is particular to containers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

import pytest

from tests.e2e.running import ROOT, SERVICES, Stack
from tests.e2e.shop import Shop, order_of
from tests.e2e.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]
GATEWAY_ONLY = {"gateway", "kafka"}


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def containers(stack: Stack) -> dict[str, dict[str, Any]]:
    """What ``docker inspect`` says of each service's first container."""
    mine = f"label=com.docker.compose.project={stack.settings.project}"
    found = json.loads(docker("inspect", *docker("ps", "-q", "--filter", mine).split()))
    return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}


def test_only_the_gateway_and_kafka_publish_ports(docker_stack: Stack) -> None:
    bound = {
        name: [b for binding in one["NetworkSettings"]["Ports"].values() for b in binding or []]
        for name, one in containers(docker_stack).items()
    }
    assert {name for name, bindings in bound.items() if bindings} == GATEWAY_ONLY
    assert {b["HostIp"] for bindings in bound.values() for b in bindings} == {"127.0.0.1"}


def test_no_service_runs_as_root(docker_stack: Stack) -> None:
    users = {name: one["Config"]["User"] for name, one in containers(docker_stack).items()}
    assert all(users[name] not in ("", "0", "root") for name in (*SERVICES, "simulator")), users


def test_all_that_serves_is_healthy(docker_stack: Stack) -> None:
    health = {
        name: one["State"].get("Health", {}).get("Status") for name, one in containers(docker_stack).items()
    }
    assert {health[name] for name in (*SERVICES, "simulator", "kafka", "gateway")} == {"healthy"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may kill the processes of containers")
@pytest.mark.parametrize("name", SERVICES)
def test_a_container_whose_process_is_killed_comes_back(docker_stack: Stack, name: str) -> None:
    shop = Shop(docker_stack)
    product = shop.stocked(100)
    before = containers(docker_stack)[name]["State"]["Pid"]
    try:
        os.kill(before, signal.SIGKILL)
    except ProcessLookupError:
        pytest.skip("the engine runs on another machine")

    def placed() -> str | None:
        answer = shop.post(order_of(product))
        return answer.json()["orderId"] if answer.status_code == 202 else None

    orders = [until(placed, 60.0, "an order is accepted") for _ in range(10)]
    until(
        lambda: containers(docker_stack)[name]["State"]["Pid"] not in (0, before), 60.0, f"{name} runs again"
    )
    docker_stack.await_ready(name)
    assert {shop.settled(order_id)["status"] for order_id in orders} == {"CONFIRMED"}
    shop.close()
