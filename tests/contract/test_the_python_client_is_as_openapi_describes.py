"""The client has a method for each call that is described, sends what is described, and gives what is answered."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import orders_client
from fake_service import Fake, fake
from orders_client import Orders, Payments, Stock, models
from orders_client.client import Client
from tools import client_models
from tools.openapi import documents

__all__ = ["fake"]

CALLS: dict[str, tuple[type[Client], str]] = {
    "POST /orders": (Orders, "place"),
    "POST /orders/batch": (Orders, "place_many"),
    "GET /orders": (Orders, "list"),
    "GET /orders/stream": (Orders, "stream_of_user"),
    "GET /orders/{orderId}": (Orders, "show"),
    "GET /orders/{orderId}/events": (Orders, "events"),
    "GET /orders/{orderId}/stream": (Orders, "stream"),
    "GET /orders/{orderId}/why": (Orders, "why"),
    "POST /orders/{orderId}/cancel": (Orders, "cancel"),
    "POST /orders/{orderId}/complete": (Orders, "complete"),
    "GET /payments": (Payments, "list"),
    "GET /payments/{orderId}": (Payments, "show"),
    "GET /stock": (Stock, "list"),
    "GET /stock/{productId}": (Stock, "show"),
    "POST /stock/{productId}/adjustments": (Stock, "adjust"),
}
NOT_FOR_CLIENTS = ("/healthz", "/readyz", "/metrics", "/problems", "/problems/{name}", "/dlq/preview")
"""What operators and browsers ask."""
NOT_SENT = {"If-None-Match", "lastEventId", "seconds"}
"""The client keeps no orders, says in a header where a stream goes on, and follows it without end."""
AHEAD = {"GET /orders/{orderId}": {"asOf"}}
"""What the client sends and the service may not describe yet."""
ARGUMENTS: dict[str, Any] = {
    "order": {"userId": "u1", "productId": "p", "quantity": 1},
    "orders": [{"userId": "u1", "productId": "p", "quantity": 1}],
    "as_of": 3,
    "created_after": datetime(2026, 11, 28, tzinfo=UTC),
    "limit": 2,
    "wait": 2,
    "quantity": 3,
}
"""Of the others each is a text."""
DESCRIBED = {
    f"{method.upper()} {re.sub('order_id', 'orderId', path)}": (document, operation)
    for document in documents().values()
    for path, operations in document["paths"].items()
    for method, operation in operations.items()
    if path not in NOT_FOR_CLIENTS
}
BOTH = sorted(set(CALLS) & set(DESCRIBED))


def test_each_call_has_a_method() -> None:
    assert set(DESCRIBED) - set(CALLS) == set(), "give the client a method, and a line here"


def test_the_models_are_those_of_the_documents() -> None:
    assert client_models.FILE.read_text() == client_models.text(), "run `make reference`"


@pytest.mark.parametrize("call", BOTH)
async def test_what_is_sent_is_what_is_described(call: str, fake: Fake) -> None:
    async def refuses(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.json_response({}, status=418)

    fake.answers(refuses)
    cls, name = CALLS[call]
    async with cls(fake.url) as client:
        with pytest.raises(orders_client.ProblemAnswer):
            await called(getattr(client, name))
    request = fake.requests[0]
    method, path = call.split(" ")
    _, operation = DESCRIBED[call]
    assert request.method == method
    assert re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), request.raw_path.partition("?")[0])
    parameters = [one for one in operation.get("parameters", ()) if one["name"] not in NOT_SENT]
    described = {one["name"] for one in parameters if one["in"] == "query"}
    sent = set(request.query) - AHEAD.get(call, set())
    assert described - {"cursor"} - AHEAD.get(call, set()) == sent, "a parameter of every kind is given"
    for one in parameters:
        assert one["in"] != "header" or one["name"] in request.headers, one["name"]
    if kinds := operation.get("requestBody", {}).get("content", {}):
        assert request.content_type in kinds


async def called(method: Callable[..., Any]) -> None:
    """Call it with all that it takes, and read what it gives."""
    taken = inspect.signature(method).parameters
    found = method(**{name: ARGUMENTS.get(name, "a-text") for name in taken})
    if isinstance(found, AsyncIterator):
        await anext(found)
    else:
        await found


@pytest.mark.parametrize("call", BOTH)
def test_what_is_given_is_what_is_answered(call: str) -> None:
    cls, name = CALLS[call]
    document, operation = DESCRIBED[call]
    answers = [one for status, one in operation["responses"].items() if status.startswith("2")]
    described = set(names_in(answers, document))
    given = models_in(typing.get_type_hints(getattr(cls, name))["return"])
    assert given <= described, f"{name} gives {given}, and {described} are answered"
    named = [one["$ref"].rsplit("/", 1)[1] for one in schemas(answers) if "$ref" in one]
    assert not named or given, f"{name} is to give {named}"


def test_an_answer_of_a_batch_is_what_is_described() -> None:
    _, operation = DESCRIBED["POST /orders/batch"]
    content = operation["responses"]["200"]["content"]["application/x-ndjson"]
    described = content["x-itemSchema"]
    hints = typing.get_type_hints(orders_client.BatchAnswer, include_extras=True)
    always = {name for name, hint in hints.items() if typing.get_origin(hint) is not typing.NotRequired}
    assert (set(described["properties"]), set(described["required"])) == (set(hints), always)


def schemas(answers: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for answer in answers:
        for content in answer.get("content", {}).values():
            schema = content.get("schema", {})
            yield from schema.get("anyOf", schema.get("oneOf", [schema]))


def names_in(node: Any, document: dict[str, Any]) -> Iterator[str]:
    """The names of all objects that ``node`` refers to, and of those in them."""
    if isinstance(node, list):
        for one in node:
            yield from names_in(one, document)
    elif isinstance(node, dict):
        for key, one in node.items():
            if key == "$ref":
                name = one.rsplit("/", 1)[1]
                yield name
                yield from names_in(document["components"]["schemas"][name], document)
            else:
                yield from names_in(one, document)


def models_in(hint: Any) -> set[str]:
    """The models that a hint names; of a page or a stream those of its items."""
    if getattr(hint, "__module__", "") == models.__name__:
        return {hint.__name__}
    if hint is orders_client.StreamEvent or hint is orders_client.BatchAnswer:
        return set()
    return {name for one in typing.get_args(hint) for name in models_in(one)}


def test_it_rests_on_aiohttp_alone() -> None:
    folder = Path(orders_client.__file__).parent
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                top = name.partition(".")[0]
                assert top in {"orders_client", "aiohttp", "yarl"} | sys.stdlib_module_names, (
                    f"{file}: {name}"
                )
