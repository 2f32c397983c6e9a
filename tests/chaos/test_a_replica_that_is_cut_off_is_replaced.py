"""A replica that cannot reach the brokers, in a network namespace of its own: the other takes over."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.conftest import OpenCluster
from tests.chaos.invariants import are_back, more_settle, others_lead, under_load
from tools.stack.cluster import LocalCluster
from verification.chaos.cluster import Placement


@dataclass(frozen=True)
class Namespace:
    """A network of its own, joined to this one by a cable that can be pulled."""

    name: str
    inside: str
    outside: str

    @property
    def cable(self) -> str:
        return f"{self.name}i"

    def pull(self) -> None:
        """Nothing comes through any more, in either direction, and nobody is told."""
        ip("-n", self.name, "link", "set", self.cable, "down")

    def join(self) -> None:
        """The cable is back."""
        ip("-n", self.name, "link", "set", self.cable, "up")


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """Skips where this user may not make one."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("a network namespace can be made only by root, with the command ip")
    number = os.getpid() % 200
    found = Namespace(f"cut{os.getpid() % 100_000}", f"10.213.{number}.2", f"10.213.{number}.1")
    outer = f"{found.name}o"
    try:
        ip("netns", "add", found.name)
        ip("link", "add", outer, "type", "veth", "peer", "name", found.cable, "netns", found.name)
        ip("address", "add", f"{found.outside}/24", "dev", outer)
        ip("link", "set", outer, "up")
        ip("-n", found.name, "address", "add", f"{found.inside}/24", "dev", found.cable)
        ip("-n", found.name, "link", "set", "lo", "up")
        found.join()
    except OSError as error:
        subprocess.run(["ip", "netns", "delete", found.name], capture_output=True)
        pytest.skip(f"no network namespace can be made here: {error}")
    yield found
    ip("netns", "delete", found.name)


@pytest.fixture
def cluster(namespace: Namespace, tmp_path: Path) -> Iterator[LocalCluster]:
    """A broker that is reached from both networks by the same address."""
    with LocalCluster(tmp_path / "kafka", 1, heap="384m", host=namespace.outside) as cluster:
        yield cluster


def test_the_other_replica_takes_over(namespace: Namespace, open_cluster: OpenCluster) -> None:
    services = ("order", "inventory")
    inside = Placement(before=["ip", "netns", "exec", namespace.name], host=namespace.inside)
    chaos = open_cluster(dict.fromkeys(services, 2), {f"{service}-1": inside for service in services})
    with under_load(chaos) as load:
        namespace.pull()
        others_lead(chaos, services)
        more_settle(load)
        namespace.join()
        are_back(chaos, services)
        more_settle(load)
