"""The systems under test: one of local processes, and one of containers where a Docker engine answers.

Nothing here or in the tests imports a service: they know what any client knows, HTTP and topics.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.running import LocalStack, Stack
from tests.e2e.shop import Shop
from tests.e2e.topic_client import TopicClient
from tests.support.side_by_side import PROJECT
from tools.stack.mode import engine_missing

HERE = Path(__file__).parent
DOCKER = pytest.param("docker", marks=[pytest.mark.docker, pytest.mark.timeout(900)])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``last`` come last, and Docker after what does without it: two systems at once are a load."""

    def rank(item: pytest.Item) -> tuple[bool, bool, bool]:
        mine = HERE in item.path.parents
        return (
            mine,
            mine and item.get_closest_marker("docker") is not None,
            mine and item.get_closest_marker("last") is not None,
        )

    items.sort(key=rank)
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("docker") is None:
            item.add_marker(pytest.mark.stack)


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack of local processes with ports and a run directory of its own, for all tests."""
    system = LocalStack(tmp_path_factory.mktemp("stack"))
    try:
        system.up()
        yield system
    finally:
        system.verb("down")
        system.verb("clean")


@pytest.fixture(scope="package")
def docker_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The same on Docker Compose, with a project of its own. Skips, saying why, where there is no engine."""
    if reason := engine_missing():
        pytest.skip(f"{reason}: the tests on Docker Compose need one")
    system = Stack("docker", tmp_path_factory.mktemp("docker"), project=PROJECT)
    try:
        system.up()
        yield system
    finally:
        system.verb("clean")


@pytest.fixture(scope="package", params=["local", DOCKER])
def system(request: pytest.FixtureRequest) -> Stack:
    """Both systems, one after the other."""
    found = request.getfixturevalue("stack" if request.param == "local" else "docker_stack")
    assert isinstance(found, Stack)
    return found


@pytest.fixture(scope="package")
def shop(system: Stack) -> Iterator[Shop]:
    """The HTTP interfaces of each system."""
    clients = Shop(system)
    yield clients
    clients.close()


@pytest.fixture(scope="package")
def topics(system: Stack) -> Iterator[TopicClient]:
    """The topics of each system."""
    found = TopicClient(system.bootstrap_servers)
    yield found
    found.close()


@pytest.fixture(scope="package")
def local_shop(stack: LocalStack) -> Iterator[Shop]:
    """The HTTP interfaces of the local system, whose processes can be hurt."""
    clients = Shop(stack)
    yield clients
    clients.close()


@pytest.fixture(scope="package")
def local_topics(stack: LocalStack) -> Iterator[TopicClient]:
    """The topics of the local system."""
    found = TopicClient(stack.bootstrap_servers)
    yield found
    found.close()
