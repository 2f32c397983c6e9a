"""What ``/openapi.json`` says of access: the scheme, what each route needs, and the answers 401, 403 and 429."""

from __future__ import annotations

from typing import Any

from eventbus.access import Rule, Rules
from eventbus.access.rules import NOT_NAMED
from eventbus.http.openapi import problem_responses

SCHEME = "bearer"
_ANSWERS = {
    401: "The request names no valid API key or access token.",
    403: "The caller may not do this, or a page of another site sent it.",
    429: "The caller sends more requests than it may; Retry-After says when to ask again.",
}


def describe_access(schema: dict[str, Any], rules: Rules, *, is_on: bool) -> None:
    """Complete a document. While access control is off, credentials may be left out."""
    schema["components"]["securitySchemes"] = {
        SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, or an access token by RFC 9068.",
        }
    }
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            rule = rules.get(f"{method.upper()} {path}", NOT_NAMED)
            if rule.scope is not None:
                _describe(operation, rule, is_on)


def _describe(operation: dict[str, Any], rule: Rule, is_on: bool) -> None:
    operation["security"] = [{SCHEME: []}] if is_on else [{SCHEME: []}, {}]
    callers = "" if rule.customers else ", and a caller that acts for no customer"
    text = f"Needs the scope `{rule.scope}`{callers}."
    operation["description"] = "\n\n".join(filter(None, (operation.get("description"), text)))
    for status, response in problem_responses(_ANSWERS).items():
        operation["responses"].setdefault(str(status), response)
