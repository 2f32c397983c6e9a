"""One broker for all integration tests, and a system of its own for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import broker
from tests.support.system import System


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.broker)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bootstrap servers of a real broker."""
    with broker(tmp_path_factory.mktemp("broker")) as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture
def system(kafka: str, tmp_path: Path) -> Iterator[System]:
    """Topics, state and processes of one test; ended with it."""
    system = System(kafka, tmp_path)
    yield system
    system.close()
