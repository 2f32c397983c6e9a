"""Every route of every service stands in the table that says who may use it."""

from __future__ import annotations

from importlib import import_module
from typing import Any
from unittest.mock import MagicMock

import pytest

from eventbus.access.rules import RuleTable
from eventbus.http.app import create_app
from eventbus.service.runtime import http_routes
from tools.registry import SERVICES


def table_of(package: str) -> RuleTable:
    service = import_module(f"{package}.__main__").service()
    bus: Any = MagicMock()
    routes = http_routes(service.routes, bus)
    app = create_app(service.name, why_not_ready=lambda: "", max_body=1, routes=routes, rules=service.rules)
    table: RuleTable = app.state.rules
    return table


@pytest.mark.parametrize("package", [service.package for service in SERVICES])
def test_every_route_has_a_rule_and_every_rule_a_route(package: str) -> None:
    table = table_of(package)
    assert not table.missing, f"give them lines in Service(rules=...) of {package}: {table.missing}"
    assert not table.unused, f"{package} has no such routes: {table.unused}"


@pytest.mark.parametrize("package", [service.package for service in SERVICES])
def test_only_health_and_documents_are_open(package: str) -> None:
    open_paths = ["/healthz", "/readyz", "/docs", "/docs/oauth2-redirect", "/openapi.json"]
    open_paths += ["/problems", "/problems/{name}"]
    table = table_of(package)
    assert [
        path for path in open_paths if (rule := table.rule("GET", path)) and rule.scope is None
    ] == open_paths
    assert {line for line, rule in table.rules.items() if rule.scope is None} == {
        f"GET {p}" for p in open_paths
    }
