"""Which requests come in at all: the Host they name, the page they come from, the type of their body."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from eventbus.http import parse_json, read_body
from eventbus.http.app import create_app
from eventbus.http.edge import Hosts, host_of
from eventbus.loopback import is_loopback
from eventbus.service.runtime import http_routes

Headers = list[tuple[str, str]]
JSON = [("content-type", "application/json")]


def routes(app: FastAPI, _: Any) -> None:
    @app.post("/things")
    async def things(request: Request) -> dict[str, int]:
        raw = await read_body(request)
        return {"things": len(parse_json(raw)) if raw else 0}


def client(hosts: Hosts | None) -> httpx.AsyncClient:
    bus: Any = object()
    app = create_app(
        "test", why_not_ready=lambda: "", max_body=1_000, routes=http_routes(routes, bus), hosts=hosts
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8000")


async def status(hosts: Hosts | None, headers: Headers, method: str = "POST", body: bytes = b"[1]") -> int:
    path = "/things" if method == "POST" else "/healthz"
    async with client(hosts) as http:
        answer = await http.request(method, path, headers=headers, content=body or None)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
    return answer.status_code


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:8000", True),
        ("LOCALHOST", True),
        ("localhost.", True),
        ("orders.localhost:1", True),
        ("127.0.0.1:8000", True),
        ("127.9.9.9", True),
        ("[::1]:8000", True),
        ("shop.example.org:8000", False),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org", False),
        ("192.168.0.1:8000", False),
        ("0.0.0.0:8000", False),
        ("[::2]", False),
        ("localhost:port", False),
        ("localhost@example.org", False),
        ("example.org#localhost", False),
        ("[::1", False),
        ("", False),
    ],
)
async def test_on_loopback_only_its_own_names_are_answered(host: str, allowed: bool) -> None:
    expected = 200 if allowed else 421
    for listens_on in ("127.0.0.1", "localhost", "::1"):
        assert await status(Hosts(listens_on), [("host", host)], "GET", b"") == expected


async def test_further_names_can_be_allowed() -> None:
    hosts = Hosts("127.0.0.1", ["Shop.example.org"])
    assert await status(hosts, [("host", "shop.example.org:8000")], "GET", b"") == 200
    assert await status(hosts, [("host", "other.example.org")], "GET", b"") == 421
    assert await status(Hosts("127.0.0.1", ["*"]), [("host", "other.example.org")], "GET", b"") == 200


async def test_in_a_container_names_are_checked_once_some_are_given() -> None:
    assert await status(Hosts("0.0.0.0"), [("host", "order:8000")], "GET", b"") == 200
    behind_gateway = Hosts("0.0.0.0", ["order"])
    for host, expected in (("order:8000", 200), ("localhost:8000", 200), ("evil.example.org", 421)):
        assert await status(behind_gateway, [("host", host)], "GET", b"") == expected


async def test_two_host_headers_are_refused() -> None:
    assert await status(Hosts("127.0.0.1"), [("host", "localhost"), ("host", "localhost")], "GET", b"") == 400


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], 200),
        ([("origin", "http://localhost:8000")], 200),
        ([("origin", "http://localhost:3000")], 200),
        ([("origin", "http://127.0.0.1:8000")], 200),
        ([("origin", "https://evil.example.org")], 403),
        ([("origin", "http://localhost.evil.example.org")], 403),
        ([("origin", "null")], 403),
        ([("origin", "")], 403),
        ([("origin", "http://localhost"), ("origin", "https://evil.example.org")], 403),
        ([("sec-fetch-site", "cross-site")], 403),
        ([("sec-fetch-site", "same-origin"), ("origin", "http://localhost:8000")], 200),
        ([("sec-fetch-site", "none")], 200),
    ],
)
async def test_a_page_of_another_site_may_send_nothing_that_changes_something(
    headers: Headers, expected: int
) -> None:
    for named in ("localhost:8000", "127.0.0.1:8000"):
        assert await status(Hosts("127.0.0.1"), [("host", named), *JSON, *headers]) == expected
        # With no body either, as to cancel an order.
        assert await status(Hosts("127.0.0.1"), [("host", named), *headers], body=b"") == expected


async def test_another_site_may_link_here() -> None:
    headers = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example.org")]
    assert await status(Hosts("127.0.0.1"), headers, "GET", b"") == 200


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (JSON, 200),
        ([("content-type", "Application/JSON; charset=UTF-8")], 200),
        ([("content-type", 'application/json;charset="utf-8";v=1')], 200),
        ([("content-type", "application/json; charset=us-ascii")], 200),
        ([("content-type", "application/cloudevents+json")], 200),
        ([("content-type", "application/json; charset=utf-16")], 415),
        ([("content-type", "text/plain")], 415),
        ([("content-type", "text/plain; application/json")], 415),
        ([("content-type", "text/json")], 415),
        ([("content-type", "application/jsonx")], 415),
        ([("content-type", "application/x-www-form-urlencoded")], 415),
        ([("content-type", "multipart/form-data; boundary=b")], 415),
        ([("content-type", "")], 415),
        ([], 415),
        ([*JSON, *JSON], 415),
        ([*JSON, ("content-encoding", "gzip")], 415),
        ([*JSON, ("content-encoding", "identity")], 200),
    ],
)
async def test_a_body_of_a_type_that_is_not_read_is_415(headers: Headers, expected: int) -> None:
    assert await status(None, headers) == expected


async def test_no_body_needs_no_type() -> None:
    for headers in ([], JSON, [("content-type", "text/plain;charset=UTF-8")]):
        assert await status(None, headers, body=b"") == 200


@pytest.mark.parametrize("length", ["1001", "9" * 5_000, "0" * 5_000 + "1001"])
async def test_a_length_beyond_the_limit_is_413_however_it_is_written(length: str) -> None:
    assert await status(None, [*JSON, ("content-length", length)]) == 413


async def test_the_page_of_documentation_works() -> None:
    async with client(Hosts("127.0.0.1")) as http:
        assert (await http.get("/docs")).status_code == 200
        assert (await http.get("/openapi.json")).json()["openapi"].startswith("3.1")
        answer = await http.post("/things", json=[1], headers={"origin": "http://localhost:8000"})
        assert answer.status_code == 200


def test_a_host_is_read_without_its_port_and_loopback_is_known() -> None:
    assert host_of("[::1]:80") == "::1"
    assert host_of("A.b.:80") == "a.b"
    assert host_of("a b") is None or not is_loopback("a b")
    assert is_loopback("127.0.0.1") and not is_loopback("10.0.0.1")


def test_what_is_remembered_of_a_host_is_what_would_be_found_again_and_is_bounded() -> None:
    hosts = Hosts("127.0.0.1", ["shop.example.org"])
    names = [f"host-{n}.localhost:{n}" for n in range(100)] + [f"host-{n}.example.org" for n in range(100)]
    names += ["shop.example.org", "SHOP.example.org.", "localhost", "a@localhost", "x" * 300, ""]
    for name in [*names, *names, *reversed(names)]:
        assert hosts.include(name) == Hosts("127.0.0.1", ["shop.example.org"]).include(name), name
    assert hosts._known.cache_info().currsize <= 64
    kept = hosts._known.cache_info().misses
    assert not hosts.include("x" * 100_000)
    assert hosts._known.cache_info().misses == kept, "what is too long is not kept"
