"""The order service's HTTP side on a bus in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from eventbus import Bus
from eventbus.http.app import create_app
from eventbus.service.runtime import http_routes
from services.order.__main__ import service
from services.order.settings import OrderSettings
from tests.unit.order.memory_bus import HttpClient, MemoryBus


@pytest.fixture(scope="session")
def stack() -> Iterator[tuple[MemoryBus, HttpClient]]:
    """One application serves all tests, since to build it takes longer than to ask it."""
    order = service(OrderSettings(answer_timeout=0.1))
    bus = MemoryBus(order.deciders[0])
    app = create_app(
        "order",
        why_not_ready=lambda: "",
        max_body=1_048_576,
        routes=http_routes(order.routes, cast(Bus, bus)),
    )
    with HttpClient(app) as client:
        yield bus, client


@pytest.fixture
def bus(stack: tuple[MemoryBus, HttpClient]) -> MemoryBus:
    """The bus behind ``client``, empty."""
    stack[0].clear()
    return stack[0]


@pytest.fixture
def client(stack: tuple[MemoryBus, HttpClient], bus: MemoryBus) -> HttpClient:
    return stack[1]
