"""The OpenAPI documents say what the services do: every request schemathesis makes is answered as documented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import pytest
import schemathesis
from fastapi import FastAPI
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished
from schemathesis.engine.recorder import ScenarioRecorder

from eventbus import Bus, Decider, Service, Settings
from eventbus.codec import Codec
from eventbus.http import ONE_LINE
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
    order = order_service(OrderSettings(answer_timeout=0.1))
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


INTEGER = r"(items\[[0-9]+\]\.)?quantity: Input should be a valid integer"
KEY = r"Idempotency-Key: was used before .*"
BEYOND = {
    "POST /orders": rf"{INTEGER}|{KEY}|(items\[[0-9]+\]\.)?unitPrice: .*|items: the total .*",
    "GET /orders": r"(cursor|createdAfter): .*",
    "GET /payments": r"cursor: .*",
    "GET /stock": r"cursor: .*",
    "POST /stock/{productId}/adjustments": rf"{INTEGER}|{KEY}",
}
"""Rules that a schema cannot say: 1.0 is no integer here, a price depends on its currency, a key on its first use."""

CONFIG = schemathesis.Config.from_dict(
    {
        "seed": 1,
        "workers": 1,
        # A run must not depend on the ones before it.
        "cache": {"enabled": False},
        # What is printable beyond ASCII no pattern can say.
        "generation": {"codec": "ascii", "max-examples": 10, "database": "none"},
        "checks": {"positive_data_acceptance": {"enabled": False}},
        "phases": {"stateful": {"enabled": False}},
    }
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["order", "payment", "inventory", "notification"])
def test_every_answer_is_as_documented(name: str, tmp_path: Path) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", app_of(name, tmp_path), config=CONFIG)
    asked, wrong = 0, []
    for event in schemathesis.engine.from_schema(schema).execute():
        if isinstance(event, FatalError | NonFatalError):
            wrong.append(repr(event))
        if isinstance(event, ScenarioFinished):
            asked += len(event.recorder.cases)
            wrong += list(findings(event.recorder))
    assert not wrong, "\n".join(wrong[:5])
    assert asked > 10 * len(schema)


def findings(recorded: ScenarioRecorder) -> Iterator[str]:
    """What was not as documented, and how to see it again."""
    for case_id, node in recorded.cases.items():
        for check in recorded.checks.get(case_id, ()):
            if check.failure_info:
                yield f"{check.failure_info.failure}\n{check.failure_info.code_sample}"
        if (interaction := recorded.interactions.get(case_id)) and interaction.response:
            yield from refusals(node.value, interaction.response)


def refusals(case: schemathesis.Case[Any], answer: schemathesis.Response) -> Iterator[str]:
    """What the document allows, and the service refuses all the same."""
    valid = case.meta is not None and case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE
    if valid and answer.status_code in (400, 415, 422):
        beyond = re.compile(BEYOND.get(f"{case.method} {case.path}", "-"))
        for error in answer.json().get("errors", [{"field": answer.text, "message": ""}]):
            refusal = f"{error['field']}: {error['message']}"
            if not beyond.fullmatch(refusal) and not is_misdrawn(case, error["field"]):
                yield f"valid, but refused: {case.method} {case.formatted_path!r}: {error}"


def is_misdrawn(case: schemathesis.Case[Any], name: str) -> bool:
    """Whether a parameter is not what its pattern says: schemathesis fits patterns to lengths, not always well."""
    return name in case.path_parameters and not re.fullmatch(ONE_LINE, unquote(case.path_parameters[name]))
