"""What ``/openapi.json`` says of access: the scheme, what each route needs, and what is answered without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from eventbus.access import Rule, Rules
from eventbus.access.rules import NOT_NAMED
from eventbus.http.problem_types import FORBIDDEN, NOT_AUTHENTICATED, TOO_MANY_REQUESTS, UNAVAILABLE
from eventbus.http.problems import PROBLEM

SCHEME = "bearer"
_ANSWERS = (NOT_AUTHENTICATED, FORBIDDEN, TOO_MANY_REQUESTS, UNAVAILABLE)


def describe_access(
    schema: dict[str, Any], routes: Sequence[BaseRoute], rules: Rules, *, is_on: bool
) -> None:
    """Complete a document. While access control is off, credentials may be left out."""
    schema.setdefault("components", {})["securitySchemes"] = {
        SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, or an access token by RFC 9068.",
        }
    }
    for route in routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                rule = rules.get(f"{method} {route.path}", NOT_NAMED)
                if rule.scope is not None:
                    _describe(schema["paths"][route.path_format][method.lower()], rule, is_on)


def _describe(operation: dict[str, Any], rule: Rule, is_on: bool) -> None:
    operation["security"] = [{SCHEME: []}] if is_on else [{SCHEME: []}, {}]
    callers = "" if rule.customers else ", and a caller that acts for no customer"
    text = f"Needs the scope `{rule.scope}`{callers}."
    operation["description"] = "\n\n".join(filter(None, (operation.get("description"), text)))
    for kind in _ANSWERS:
        content = operation["responses"].setdefault(str(kind.status), {}).setdefault("content", {})
        # Whoever completes the document knows the types of an answer by the names of its examples.
        content.setdefault(PROBLEM, {}).setdefault("examples", {})[kind.name] = {}
