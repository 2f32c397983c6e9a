"""The OpenAPI documents say what the services do: every request schemathesis makes is answered as documented."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import jsonschema_rs
import pytest
import schemathesis
from fastapi import FastAPI, HTTPException

from eventbus import Bus, Decider, Service, Settings
from eventbus.codec import Codec
from eventbus.http import (
    INVALID_REQUEST,
    ONE_LINE,
    Problem,
    ProblemType,
    invalid,
    one_line,
    problem_responses,
)
from eventbus.http.app import create_app
from eventbus.service.runtime import http_routes
from eventbus.state.store import Store
from services.inventory.__main__ import service as inventory_service
from services.notification.__main__ import service as notification_service
from services.order.__main__ import service as order_service
from services.order.settings import OrderSettings
from services.payment.__main__ import service as payment_service
from tests.unit.inventory.test_stock_api import MemoryBus as StockBus
from tests.unit.order.memory_bus import MemoryBus as OrderBus
from tests.unit.payment.test_payment_api import LocalState
from verification.openapi import configuration, examine


class Consultable:
    """A bus in memory that can be consulted as well: about a state in which nothing waits."""

    def __init__(self, name: str, bus: Any, decider: Decider[Any], directory: Path) -> None:
        self.service, self.settings, self._bus = name, Settings(), bus
        self._store = Store(directory / "state.sqlite", [decider], retry=f"{name}.retry")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    def consult(self, question: Any) -> Any:
        return question(Codec("schemas"), self._store, 1)


def app_of(name: str, directory: Path) -> FastAPI:
    order = order_service(OrderSettings(answer_timeout=0.1, max_wait=0.1))
    parts: dict[str, tuple[Service, Any]] = {
        "order": (order, OrderBus(order.deciders[0])),
        "inventory": (inventory_service(), StockBus()),
        "payment": (payment_service(), LocalState()),
        "notification": (notification_service(), object()),
    }
    service, bus = parts[name]
    consultable = cast(Bus, Consultable(name, bus, service.deciders[-1], directory))
    return create_app(
        name, why_not_ready=lambda: "", max_body=1_048_576, routes=http_routes(service.routes, consultable)
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["order", "payment", "inventory", "notification"])
def test_every_answer_is_as_documented(name: str, tmp_path: Path) -> None:
    config = configuration(seed=1, examples=3)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app_of(name, tmp_path), config=config)
    examined = examine(schema)
    assert not examined.findings, "\n".join(examined.findings[:5])
    assert examined.requests > 10 * examined.operations


def test_an_answer_that_is_not_documented_is_found() -> None:
    app = create_app("order", why_not_ready=lambda: "", max_body=1_000, routes=[undocumented])
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=configuration(seed=1, examples=1))
    findings = "\n".join(examine(schema).findings)
    assert "Undocumented status code" in findings
    assert "/problems/taken" in findings, "a type that the route does not name"
    assert "Schema-valid request rejected" in findings


def undocumented(app: FastAPI) -> None:
    taken = ProblemType(
        "taken", 409, "Taken", "It is taken.", "Take another.", "Yes.", {"detail": "it is taken"}
    )

    @app.get("/gone")
    async def gone() -> None:
        raise HTTPException(410)

    @app.get("/taken", responses=problem_responses(replace(taken, name="taken-by-others")))
    async def taken_by_others() -> None:
        raise Problem(taken, "it is taken")

    @app.get("/refused", responses=problem_responses(INVALID_REQUEST))
    async def refused() -> None:
        raise invalid([("colour", "is not liked")])


PATTERN = jsonschema_rs.Draft202012Validator({"pattern": ONE_LINE})


def test_the_pattern_of_a_line_is_what_the_services_take() -> None:
    """Of characters that Python's Unicode does not know yet the validator may know more."""
    differing = [
        c for c in map(chr, range(0x110000)) if not is_surrogate(c) and PATTERN.is_valid(c) is not is_line(c)
    ]
    assert {unicodedata.category(c) for c in differing} <= {"Cn"}
    for text in ("", " ", " a", "a b", "a\nb", "a\u0000"):
        assert PATTERN.is_valid(text) is is_line(text), text


def is_surrogate(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


def is_line(text: str) -> bool:
    try:
        return one_line(text) == text
    except ValueError:
        return False
