"""A direct route skips FastAPI's work for each request. A client cannot tell, and neither can a handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from eventbus import Unavailable
from eventbus.http import JsonResponse, Problem, ProblemType, add_direct_route, invalid, parse_json, read_body
from eventbus.http.app import create_app
from eventbus.http.request_headers import IndexedHeaders
from eventbus.service.runtime import http_routes
from testbed.serving import JSON, Client, post, serving

NAMES = st.sampled_from([b"a", b"b", b"prefer", b"content-type"])
BYTES = st.binary(max_size=5)
TAKEN = ProblemType("taken", 409, "Taken", "It is taken.", "Take another.", "Yes.", {"detail": "it is taken"})


class Unknown(Exception):
    """Nobody handles it."""


def raises(error: Exception) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        raise error

    return endpoint


async def echo(request: Request) -> Response:
    """What a handler sees of its request."""
    seen = {"body": parse_json(await read_body(request)), "headers": sorted(request.headers.items())}
    return JsonResponse(seen | {"method": request.method, "path": request.url.path}, 202, {"Location": "/x"})


ENDPOINTS: dict[str, Callable[[Request], Awaitable[Response]]] = {
    "echo": echo,
    "problem": raises(Problem(TAKEN, "it is taken", headers={"Retry-After": "7"}, reason="r")),
    "invalid": raises(invalid([("items[0]", "is wrong")])),
    "unavailable": raises(Unavailable("Kafka is away")),
    "teapot": raises(HTTPException(418)),
    "unknown": raises(Unknown("a bug")),
}


def routes(app: FastAPI, _: Any) -> None:
    for name, endpoint in ENDPOINTS.items():
        add_direct_route(app, f"/direct/{name}", endpoint, "POST", summary="A summary")
        app.add_api_route(f"/routed/{name}", endpoint, methods=["POST"], summary="A summary")


def application() -> FastAPI:
    bus: Any = object()
    return create_app("test", why_not_ready=lambda: "", max_body=100, routes=http_routes(routes, bus))


def answer_of(response: httpx.Response) -> tuple[int, dict[str, str], str]:
    return response.status_code, dict(response.headers), response.text.replace("routed", "direct")


@pytest.mark.parametrize("body", [b"[1]", b"{", b"x" * 101, b""])
@pytest.mark.parametrize("name", ENDPOINTS)
async def test_its_answer_is_that_of_a_route_of_fastapi(name: str, body: bytes) -> None:
    transport = httpx.ASGITransport(application(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        headers = {"content-type": "application/json", "x-a": "1"}
        direct, routed = [
            answer_of(await client.post(f"/{kind}/{name}", content=body, headers=headers))
            for kind in ("direct", "routed")
        ]
    assert direct == routed


async def test_an_error_that_nobody_handles_is_logged_and_500(caplog: pytest.LogCaptureFixture) -> None:
    transport = httpx.ASGITransport(application(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.post("/direct/unknown")
    assert (answer.status_code, answer.json()["detail"]) == (500, "the error is in this service's log")
    assert "POST /direct/unknown failed" in caplog.text and "a bug" in caplog.text


async def test_it_is_documented_and_other_methods_are_not_allowed() -> None:
    app = application()
    paths = app.openapi()["paths"]
    assert paths["/direct/echo"]["post"]["summary"] == paths["/routed/echo"]["post"]["summary"]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        answer = await client.get("/direct/echo")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@given(st.lists(st.tuples(NAMES, BYTES), max_size=6), st.sampled_from(["a", "A", "Prefer", "c"]))
def test_an_index_finds_what_a_walk_over_the_headers_finds(raw: list[tuple[bytes, bytes]], key: str) -> None:
    indexed, walked = IndexedHeaders(raw), Headers(raw=raw)
    assert indexed.getlist(key) == walked.getlist(key)
    assert (indexed.get(key), indexed.get(key, "none")) == (walked.get(key), walked.get(key, "none"))
    assert (key in indexed, indexed.items()) == (key in walked, walked.items())


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda v: st.lists(v) | st.dictionaries(st.text(), v),
    )
)
def test_json_has_the_bytes_that_starlette_writes(content: Any) -> None:
    assert attempt(JsonResponse, content) == attempt(JSONResponse, content)


def attempt(kind: type[JSONResponse], content: Any) -> bytes | str:
    try:
        return bytes(kind(content).body)
    except ValueError:
        return "a lone surrogate"


@pytest.mark.parametrize("missing", [float("nan"), float("inf")])
def test_what_is_no_number_in_json_is_null(missing: float) -> None:
    assert JsonResponse([missing]).body == b"[null]"


async def test_a_body_ends_where_its_length_says() -> None:
    async with serving() as (port, _):
        client = await Client.connect(port)
        await client.send(post("/things", 3, JSON) + b"[1]" + b"x" * 200_000)
        assert (await client.answer())[::2] == (200, b'{"bytes":1}')
        assert await client.closed() == b"", "what follows would be the next request, and is none"


async def test_a_body_with_a_length_that_comes_in_chunks_is_no_http() -> None:
    """So no length can hide how long a body is."""
    async with serving() as (port, _):
        client = await Client.connect(port)
        await client.send(
            post("/things", 3, JSON, "transfer-encoding: chunked")
            + b"ffff\r\n"
            + b"x" * 0xFFFF
            + b"\r\n0\r\n\r\n"
        )
        assert (await client.answer())[0] == 400
        client.hang_up()
