"""What ``/openapi.json`` says of every service: the shape of problems, and the answers any route may give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import WithJsonSchema
from starlette.routing import BaseRoute

from eventbus.http.problem_types import (
    CONTENT_TOO_LARGE,
    FOREIGN_ORIGIN,
    HEADERS_TOO_LARGE,
    INVALID_REQUEST,
    MALFORMED_REQUEST,
    MISDIRECTED_REQUEST,
    NOT_READY,
    REQUEST_TIMEOUT,
    TABLE,
    TOO_MANY_CONNECTIONS,
    UNSUPPORTED_MEDIA_TYPE,
    ProblemType,
)
from eventbus.http.problems import MAX_ERRORS, PROBLEM

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""A field of a view: what :func:`eventbus.http.rfc3339` writes."""
Responses = dict[int | str, dict[str, Any]]

_SEEN = r"\p{L}\p{M}\p{N}\p{P}\p{S}"
ONE_LINE = rf"^[{_SEEN} ]*[{_SEEN}][{_SEEN} ]*$"
"""What :func:`~eventbus.http.problems.one_line` takes, for JSON Schema, whose patterns are those of ECMAScript:
letters, marks, numbers, punctuation, symbols and the space, and not the space alone."""
LINES = rf"^[{_SEEN} \n]*$"
"""The same of several lines, or none."""
KEY = r"^[!-~](?:[ -~]{0,253}[!-~])?$"
"""An Idempotency-Key."""

_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "What is wrong (RFC 9457). `type` is the address of a page about it, on this service.",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
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
_ANY = (MALFORMED_REQUEST, MISDIRECTED_REQUEST, INVALID_REQUEST, HEADERS_TOO_LARGE, TOO_MANY_CONNECTIONS)
_UNSAFE = (FOREIGN_ORIGIN,)
_BODY = (REQUEST_TIMEOUT, CONTENT_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE)


def problem_responses(*types: ProblemType) -> Responses:
    """For ``responses`` of a route: the problems that it answers, by status, each with an example.

    Those that any route may answer (:mod:`~eventbus.http.problem_types`) are added to every route by itself.
    """
    by_status: dict[int, list[ProblemType]] = {}
    for one in {one.name: one for one in types}.values():
        by_status.setdefault(one.status, []).append(one)
    return {status: _response(ones) for status, ones in by_status.items()}


def _response(types: Sequence[ProblemType]) -> dict[str, Any]:
    examples = {one.name: {"summary": one.title, "value": one.body(**one.example)} for one in types}
    schema = {
        "allOf": [{"$ref": "#/components/schemas/Problem"}],
        "properties": {"type": {"enum": [one.uri for one in types]}},
    }
    response: dict[str, Any] = {
        "description": " Or: ".join(one.meaning for one in types),
        "content": {PROBLEM: {"schema": schema, "examples": examples}},
    }
    if types[0].status in (429, 503):
        response["headers"] = {
            "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}
        }
    return response


def json_example(example: Any, description: str = "") -> dict[str, Any]:
    """For ``responses`` of a route, by a status: what such an answer looks like, and what it says."""
    described = {"description": description} if description else {}
    return {**described, "content": {"application/json": {"example": example}}}


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
    return header_parameter(
        "Idempotency-Key", description, minLength=1, maxLength=255, pattern=KEY, examples=["order-4711"]
    )


READY: Responses = {200: json_example({"status": "ready"}), **problem_responses(NOT_READY)}
METRICS: Responses = {
    200: {"content": {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}, "example": "eventbus_lag 0.0\n"}}}
}


def document(app: FastAPI, describe: Callable[[dict[str, Any]], None]) -> None:
    """Have ``app`` describe itself with what is true of all its routes. ``describe`` adds to the document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
            _restore_examples(app.openapi_schema, app.routes)
            describe(app.openapi_schema)
            _complete(app.openapi_schema)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _restore_examples(schema: dict[str, Any], routes: Sequence[BaseRoute]) -> None:
    """Put in the examples as they are written: FastAPI leaves out what is null in them."""
    for route in routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        for method in route.methods or ():
            operation = schema["paths"][route.path_format][method.lower()]
            for status, response in route.responses.items():
                _copy_examples(response, operation["responses"][str(status)])
            _copy_examples(
                (route.openapi_extra or {}).get("requestBody", {}), operation.get("requestBody", {})
            )


def _copy_examples(source: dict[str, Any], target: dict[str, Any]) -> None:
    for kind, content in source.get("content", {}).items():
        target["content"][kind] |= {k: v for k, v in content.items() if k in ("example", "examples")}


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
    if PROBLEM not in responses.get("422", {}).get("content", {}):
        responses.pop("422", None)  # FastAPI's own, which has another form
    types = [*_types_in(responses), *_ANY]
    if method not in ("get", "head", "options"):
        types += _UNSAFE
    if "requestBody" in operation:
        types += _BODY
    for status, response in problem_responses(*types).items():
        responses[str(status)] = response


def _types_in(responses: dict[str, Any]) -> list[ProblemType]:
    """The problem types that the route names itself."""
    contents = (response.get("content", {}).get(PROBLEM, {}) for response in responses.values())
    return [TABLE[name] for content in contents for name in content.get("examples", ())]
