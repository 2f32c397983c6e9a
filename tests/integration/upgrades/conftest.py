"""The code trees of rolling upgrades, made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.integration.upgrades.trees import held_back, landed_code
from verification.trees import (
    COMMAND,
    FOREIGN_EVENT,
    NEW_EVENT,
    OWN_EVENT,
    Change,
    Release,
    copy_of_today,
    next_release,
)


@pytest.fixture(scope="session")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of the commit that ``landed/`` keeps."""
    return landed_code(tmp_path_factory.mktemp("landed"))


@pytest.fixture(scope="session")
def held(landed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Today's code, which writes only what that commit can read: what runs beside it in a rolling upgrade."""
    return held_back(copy_of_today(tmp_path_factory.mktemp("held")), landed)


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The next release: a new version of an own event, a foreign event and a command, and a new event."""
    return next_release(tmp_path_factory.mktemp("next"), (OWN_EVENT, FOREIGN_EVENT, COMMAND, NEW_EVENT))


@pytest.fixture(scope="session")
def release_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Change], Release]:
    """The next release if it has one change alone."""

    @cache
    def make(change: Change) -> Release:
        return next_release(tmp_path_factory.mktemp("next"), (change,))

    return make


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            # each restarts a dozen processes, one after the other
            item.add_marker(pytest.mark.timeout(600))
