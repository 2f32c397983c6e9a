"""What ``/openapi.json`` says of every service: the shape of problems, and the answers any route may give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import WithJsonSchema

from eventbus.http.problems import MAX_ERRORS, PROBLEM

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""A field of a view: what :func:`eventbus.http.rfc3339` writes."""
Responses = dict[int | str, dict[str, Any]]

_UNSEEN = r"\u0000-\u001f\u007f-\u00a0\u00ad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
ONE_LINE = rf"^[^{_UNSEEN}]*[^\s{_UNSEEN}][^{_UNSEEN}]*$"
"""What :func:`~eventbus.http.problems.one_line` takes, but for rare characters: no pattern names a whole category."""
LINES = rf"^(?:[^{_UNSEEN}]|\n)*$"
"""The same of several lines, or none."""
KEY = r"^[!-~](?:[ -~]{0,253}[!-~])?$"
"""An Idempotency-Key."""

_REFERENCE = {"$ref": "#/components/schemas/Problem"}
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "What is wrong (RFC 9457).",
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "Each field that is wrong, where fields are.",
            "maxItems": MAX_ERRORS,
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                "required": ["field", "message"],
            },
        },
    },
    "required": ["type", "title", "status"],
}
_INVALID = "Fields are wrong; each is named."
_ANY = {
    400: "The request is not well-formed.",
    421: "The service does not go by the name in `Host`.",
    431: "The headers are too large.",
    503: "There are too many connections.",
}
_UNSAFE = {403: "A page of another site sent it."}
_BODY = {
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "The body is not of a media type that is read here, or says none.",
}


def problem_responses(meanings: dict[int, str]) -> Responses:
    """For ``responses`` of a route: problems by their status, each with what it means there."""
    return {
        status: {"description": text, "content": {PROBLEM: {"schema": _REFERENCE}}}
        for status, text in meanings.items()
    }


def header_parameter(name: str, description: str, **limits: Any) -> dict[str, Any]:
    """For ``openapi_extra`` of a route: a header that may be left out. ``limits``: JSON Schema of its text."""
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", **limits},
    }


def idempotency_key_parameter(description: str) -> dict[str, Any]:
    """The header that :func:`eventbus.http.idempotency_key` reads."""
    return header_parameter("Idempotency-Key", description, minLength=1, maxLength=255, pattern=KEY)


READY = problem_responses({503: "It is catching up, or there are too many connections."})
METRICS: Responses = {200: {"content": {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}}}}


def document(app: FastAPI, describe: Callable[[dict[str, Any]], None]) -> None:
    """Have ``app`` describe itself with what is true of all its routes. ``describe`` adds to the document first."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
            app.openapi_schema.setdefault("components", {})
            describe(app.openapi_schema)
            _complete(app.openapi_schema)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(schema: dict[str, Any]) -> None:
    components = schema["components"].setdefault("schemas", {})
    components["Problem"] = _SCHEMA
    for name in ("HTTPValidationError", "ValidationError"):
        components.pop(name, None)
    for operations in schema["paths"].values():
        for method, operation in operations.items():
            _complete_operation(method, operation)


def _complete_operation(method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if PROBLEM not in responses.get("422", {PROBLEM: ...}).get("content", {PROBLEM: ...}):
        responses["422"] = problem_responses({422: _INVALID})[422]
    common = dict(_ANY)
    if method != "get":
        common |= _UNSAFE
    if "requestBody" in operation:
        common |= _BODY
    for status, response in problem_responses(common).items():
        responses.setdefault(str(status), response)
