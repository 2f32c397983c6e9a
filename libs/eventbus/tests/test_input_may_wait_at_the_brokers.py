"""A service for which nobody waits lets its input gather at the brokers; that of all others comes at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer

from eventbus import Settings
from eventbus.codec import Codec
from eventbus.kafka import clients
from eventbus.processing.assembly import assemble
from eventbus.processing.ports import Ports
from eventbus.state.store import Store
from parcels.decider import decider


@pytest.mark.parametrize(("wait", "least", "longest"), [(0.0, 1, 500), (0.25, clients.FULL, 250)])
def test_the_brokers_are_told_how_long_and_for_how_much(
    monkeypatch: pytest.MonkeyPatch, wait: float, least: int, longest: int
) -> None:
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(clients, "Consumer", made.append)
    clients.input_consumer(Settings(), "parcel", lambda text: None, wait)
    assert made[0]["fetch.min.bytes"] == least
    assert made[0]["fetch.wait.max.ms"] == longest


class Asked(Exception):
    """The input's consumer is asked for; nothing more is needed."""


class Noting(clients.Clients):
    def input(
        self, settings: Settings, group: str, on_statistics: Callable[[str], None], wait: float
    ) -> Consumer:
        self.wait = wait
        raise Asked


@pytest.mark.parametrize("wait", [0.0, 0.5])
def test_the_consumer_of_the_input_waits_as_its_service_says(tmp_path: Path, wait: float) -> None:
    store, noting = Store(tmp_path / "state.sqlite", [decider]), Noting()
    calls: Any = None
    ports = Ports(store, calls, publish=lambda events, decided: None, clients=noting)
    with pytest.raises(Asked):
        assemble(
            "parcel", [decider], Settings(), Codec("parcels"), 3, ports, transactional_id="p", input_wait=wait
        )
    assert noting.wait == wait
    store.close()
