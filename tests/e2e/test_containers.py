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
    found = json.loads(docker("inspect", *docker("ps", "-aq", "--filter", mine).split()))
    return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}


def test_only_the_gateway_and_kafka_publish_ports(docker_stack: Stack) -> None:
    bound = {
        name: [b for binding in one["NetworkSettings"]["Ports"].values() for b in binding or []]
        for name, one in containers(docker_stack).items()
    }
    assert {name for name, bindings in bound.items() if bindings} == GATEWAY_ONLY
    assert {b["HostIp"] for bindings in bound.values() for b in bindings} == {"127.0.0.1"}


EVERYTHING = {*SERVICES, "simulator", "kafka", "gateway", "topics"}


def test_no_container_runs_as_root(docker_stack: Stack) -> None:
    users = {name: one["Config"]["User"] for name, one in containers(docker_stack).items()}
    assert users.keys() == EVERYTHING
    assert all(user.partition(":")[0] not in ("", "0", "root") for user in users.values()), users


def test_no_container_writes_to_its_root(docker_stack: Stack) -> None:
    found = {name: one["HostConfig"]["ReadonlyRootfs"] for name, one in containers(docker_stack).items()}
    assert found == dict.fromkeys(EVERYTHING, True)


def test_no_container_has_or_gains_rights(docker_stack: Stack) -> None:
    for name, one in containers(docker_stack).items():
        host = one["HostConfig"]
        assert host["CapDrop"] == ["ALL"] and not host["CapAdd"] and not host["Privileged"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name


def test_every_container_has_bounded_memory_processes_and_logs(docker_stack: Stack) -> None:
    for name, one in containers(docker_stack).items():
        host = one["HostConfig"]
        assert 0 < host["Memory"] <= 2 << 30, name
        assert 0 < host["PidsLimit"] <= 1024, name
        assert host["LogConfig"]["Type"] == "json-file", name
        assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}, name


def test_a_container_that_runs_has_no_capability_and_cannot_write_beside_its_data(
    docker_stack: Stack,
) -> None:
    for name, one in containers(docker_stack).items():
        if name == "topics":  # it has done its work
            continue
        status = docker("exec", one["Id"], "cat", "/proc/self/status")
        said = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert (said["CapEff"], said["CapBnd"], said["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1"), name
        tried = subprocess.run(
            ["docker", "exec", one["Id"], "sh", "-c", "echo x > /x || echo x > /etc/x || echo x > /app/x"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert tried.returncode != 0 and "Read-only file system" in tried.stderr, (name, tried)


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
