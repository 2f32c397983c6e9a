"""The rule of a request is the rule of the route that answers it."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from eventbus.access import OPEN, Rule, Rules, Scope
from eventbus.access.rules import NOT_NAMED, RuleTable

RULES: Rules = {
    "GET /parcels": Rule(Scope.READ),
    "POST /parcels": Rule(Scope.PLACE),
    "GET /parcels/stream": OPEN,
    "GET /parcels/{id}": Rule(Scope.READ, customers=True),
    "GET /parcels/late": Rule(Scope.STOCK),
    "POST /boxes/{id:path}/open": Rule(Scope.CANCEL),
    "GET /boxes/{id:path}": Rule(Scope.COMPLETE),
}


def application() -> FastAPI:
    """Each route answers with its own line of the table. One has none."""
    app = FastAPI(openapi_url=None)
    for line in [*RULES, "DELETE /parcels/{id}"]:
        method, path = line.split()

        def route(line: str = line) -> str:
            return line

        app.add_api_route(path, route, methods=[method])
    return app


@pytest.mark.parametrize(
    "asked",
    [
        "GET /parcels",
        "POST /parcels",
        "GET /parcels/stream",
        "GET /parcels/1",
        "GET /parcels/late",
        "POST /boxes/a/b/open",
        "GET /boxes/a/b/open",
        "GET /boxes/a%2Fopen",
        "GET /parcels/%0A",
    ],
)
async def test_the_rule_is_that_of_the_route_which_answers(asked: str) -> None:
    app = application()
    table = RuleTable(RULES, app.routes)
    method, path = asked.split()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        line = (await client.request(method, path)).json()
    assert table.rule(method, httpx.URL(f"http://test{path}").path) is RULES[line]


def test_a_route_without_a_line_is_for_operators() -> None:
    table = RuleTable(RULES, application().routes)
    assert table.missing == ["DELETE /parcels/{id}"]
    assert table.rule("DELETE", "/parcels/1") is NOT_NAMED
    assert NOT_NAMED.scope is Scope.ADMIN


def test_a_line_without_a_route_is_named() -> None:
    assert RuleTable({"GET /nowhere": OPEN}, application().routes).unused == ["GET /nowhere"]


def test_what_no_route_answers_has_no_rule() -> None:
    table = RuleTable(RULES, application().routes)
    assert table.rule("GET", "/nowhere") is None
    assert table.rule("PUT", "/parcels") is None


def test_what_is_mounted_whole_is_refused() -> None:
    app = application()
    app.mount("/files", FastAPI())
    with pytest.raises(TypeError, match="not a plain route"):
        RuleTable(RULES, app.routes)
