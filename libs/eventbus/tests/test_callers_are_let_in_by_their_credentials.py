"""What a request must bring, and how it is answered without: 401, 403, 429, as problems with WWW-Authenticate."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from hypothesis import given, settings
from hypothesis import strategies as st

from eventbus.access import Rule, Rules, Scope
from eventbus.access.api_keys import new_key
from eventbus.access.rate import MAX_CALLERS, RateLimit
from eventbus.http import add_direct_route, caller
from eventbus.http.access import Access
from eventbus.http.app import create_app
from eventbus.http.edge import Hosts
from eventbus.http.json_response import JsonResponse
from eventbus.model.errors import Misconfigured
from eventbus.service.runtime import http_routes
from eventbus.settings import AccessSettings
from testbed.issuer import AUDIENCE, ISSUER, Issuer

RULES: Rules = {
    "GET /parcels/{id}": Rule(Scope.READ, customers=True),
    "POST /parcels": Rule(Scope.PLACE, customers=True),
    "GET /reports": Rule(Scope.READ),
}
ISSUED_BY = Issuer()


def routes(app: FastAPI, _: Any) -> None:
    async def who(request: Request) -> JsonResponse:
        found = caller(request)
        return JsonResponse({"id": found.id, "user": found.user_id})

    add_direct_route(app, "/parcels", who, "POST")
    for path in ("/parcels/{id}", "/reports", "/forgotten"):
        app.add_api_route(path, who, methods=["GET"])


class Door:
    """An application with access control on, and keys to it."""

    def __init__(self, directory: Path, **more: Any) -> None:
        files = directory / "keys.jsonl", directory / "jwks.json"
        self.reader, reader = new_key("reader", ["read"], None, None)
        self.anna, anna = new_key("anna", ["read", "place"], "anna", None)
        self.admin, admin = new_key("ops", ["admin"], None, None)
        self.late, late = new_key("late", ["read"], None, "2020-01-01T00:00:00Z")
        files[0].write_text("\n".join([reader, anna, admin, late]))
        files[1].write_bytes(ISSUED_BY.public())
        self.settings = AccessSettings(
            api_keys_file=files[0],
            oidc_issuer=ISSUER,
            oidc_audience=AUDIENCE,
            oidc_jwks=str(files[1]),
            **more,
        )
        self.client = client(self.settings)

    async def ask(self, method: str, path: str, token: str | None = None, **more: Any) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return await self.client.request(method, path, **{"headers": headers, **more})


def client(access: AccessSettings) -> httpx.AsyncClient:
    bus: Any = object()
    app = create_app(
        "test",
        why_not_ready=lambda: "",
        max_body=1_000,
        routes=http_routes(routes, bus),
        rules=RULES,
        access=Access.of(access),
        hosts=Hosts("127.0.0.1"),
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Door:
    return Door(tmp_path_factory.mktemp("door"))


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    return found


async def test_a_key_or_a_token_lets_its_caller_in(door: Door) -> None:
    assert (await door.ask("GET", "/parcels/1", door.reader)).json() == {"id": "key:reader", "user": None}
    assert (await door.ask("POST", "/parcels", door.anna)).json() == {"id": "key:anna", "user": "anna"}
    answer = await door.ask("POST", "/parcels", ISSUED_BY.token())
    assert answer.json() == {"id": f"{ISSUER}#u1", "user": "u1"}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/docs"])
async def test_health_and_documents_are_open_always(door: Door, path: str) -> None:
    for token in (None, "wrong", door.reader):
        assert (await door.ask("GET", path, token)).status_code == 200


PROTECTED = [
    ("GET", "/parcels/1"),
    ("POST", "/parcels"),
    ("GET", "/reports"),
    ("GET", "/metrics"),
    ("GET", "/dlq/preview"),
]
NOWHERE = [
    ("GET", "/nowhere"),
    ("PUT", "/parcels"),
    ("OPTIONS", "/parcels"),
    ("GET", "//parcels/1"),
    ("HEAD", "/reports"),
]


@pytest.mark.parametrize(("method", "path"), [*PROTECTED, *NOWHERE])
async def test_without_credentials_nothing_else_answers(door: Door, method: str, path: str) -> None:
    answer = await door.ask(method, path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="api"'  # no error: it sent no credentials
    if method != "HEAD":
        problem(answer, 401)


@pytest.mark.parametrize(
    "token",
    [
        "wrong",
        "",
        "ebk_" + "x" * 43,
        "a.b.c",
        "..",
        "x" * 16_000,
        "x" * 40_000,
        "Bearer",
        "ebk ebk",
        "ë",
        "'--",
        "\x00",
    ],
)
async def test_wrong_credentials_are_answered_401(door: Door, token: str) -> None:
    answer = await door.client.get(
        "/parcels/1", headers=[(b"Authorization", f"Bearer {token}".encode("latin-1"))]
    )
    problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith('Bearer realm="api", error="invalid_token"')
    assert not token.strip() or len(token) < 5 or token not in answer.text


@pytest.mark.parametrize("header", ["Basic dTpw", "ebk_x", "Token x", "Bearerx y", ""])
async def test_other_schemes_are_no_credentials(door: Door, header: str) -> None:
    answer = await door.client.get("/parcels/1", headers={"Authorization": header})
    problem(answer, 401)


async def test_keys_and_tokens_end(door: Door) -> None:
    problem(await door.ask("GET", "/parcels/1", door.late), 401)
    expired = ISSUED_BY.token(exp=int(time.time()) - 100)
    answer = await door.ask("GET", "/parcels/1", expired)
    assert "expired" in problem(answer, 401)["detail"]
    assert "expired" in answer.headers["www-authenticate"]


async def test_two_authorization_headers_are_refused_even_if_one_is_right(door: Door) -> None:
    for pair in ((door.reader, "wrong"), ("wrong", door.reader), (door.reader, door.reader)):
        headers = [("Authorization", f"Bearer {token}") for token in pair]
        answer = await door.client.get("/parcels/1", headers=headers)
        problem(answer, 400)
        assert 'error="invalid_request"' in answer.headers["www-authenticate"]


async def test_the_scheme_has_any_case_and_any_spaces(door: Door) -> None:
    for scheme in ("bearer ", "BEARER ", "Bearer   "):
        answer = await door.client.get("/parcels/1", headers={"Authorization": f"{scheme}{door.reader}"})
        assert answer.status_code == 200


async def test_tokens_in_the_query_are_no_credentials(door: Door) -> None:
    problem(await door.ask("GET", f"/parcels/1?access_token={door.reader}"), 401)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/parcels", "place"),
        ("GET", "/metrics", "admin"),
        ("GET", "/dlq/preview?key=k", "admin"),
        ("GET", "/forgotten", "admin"),
    ],
)
async def test_a_caller_without_the_scope_is_told_which(
    door: Door, method: str, path: str, scope: str
) -> None:
    answer = await door.ask(method, path, door.reader)
    problem(answer, 403)
    assert answer.headers["www-authenticate"] == (
        f'Bearer realm="api", error="insufficient_scope", scope="{scope}"'
    )


async def test_no_scope_includes_another(door: Door) -> None:
    problem(await door.ask("GET", "/parcels/1", door.admin), 403)
    assert (await door.ask("GET", "/metrics", door.admin)).status_code == 200


async def test_customers_come_only_where_the_rule_lets_them(door: Door) -> None:
    assert (await door.ask("GET", "/reports", door.reader)).status_code == 200
    problem(await door.ask("GET", "/reports", door.anna), 403)
    problem(await door.ask("GET", "/reports", ISSUED_BY.token()), 403)


async def test_a_known_caller_is_told_that_nothing_is_there(door: Door) -> None:
    problem(await door.ask("GET", "/nowhere", door.reader), 404)
    problem(await door.ask("PUT", "/parcels", door.reader), 405)


async def test_what_the_challenge_says_is_fit_for_a_header(tmp_path: Path) -> None:
    door = Door(tmp_path, oidc_user_claim='客"\\\r\nx: y')
    answer = await door.ask("GET", "/parcels/1", ISSUED_BY.token())
    assert "客" in problem(answer, 401)["detail"]
    assert 'its ?????x: y is no user id"' in answer.headers["www-authenticate"]


async def test_answers_name_no_token(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    token = ISSUED_BY.token(aud="billing")
    answer = await door.ask("GET", "/parcels/1", token)
    assert token not in answer.text + str(answer.headers) + caplog.text
    assert "credentials not valid" in caplog.text or caplog.text == ""


@given(values=st.lists(st.binary(max_size=60), max_size=3))
@settings(max_examples=200, deadline=None)
async def test_any_authorization_headers_are_answered(door: Door, values: list[bytes]) -> None:
    headers = [(b"authorization", value) for value in values]
    answer = await door.client.get("/parcels/1", headers=headers)
    assert answer.status_code in (400, 401)
    assert answer.headers["www-authenticate"]


async def test_while_it_is_off_everybody_may_do_everything() -> None:
    async with client(AccessSettings()) as http:
        assert (await http.post("/parcels")).json() == {"id": "public", "user": None}
        assert (await http.get("/metrics")).status_code == 200
        assert (await http.get("/forgotten", headers={"Authorization": "Bearer wrong"})).status_code == 200


# Rate


async def test_who_sends_too_much_waits_and_others_do_not(tmp_path: Path) -> None:
    door = Door(tmp_path, http_rate=0.001, http_burst=3)
    answers = [await door.ask("GET", "/parcels/1", door.reader) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0"]
    assert answers[0].headers["ratelimit-policy"] == '"default";q=3;w=3000'
    problem(answers[3], 429)
    assert 0 < int(answers[3].headers["retry-after"]) <= 1000
    assert (await door.ask("GET", "/parcels/1", door.anna)).status_code == 200
    assert (await door.ask("GET", "/healthz", door.reader)).status_code == 200


async def test_a_limit_without_access_control_is_one_for_all() -> None:
    async with client(AccessSettings(http_rate=0.001, http_burst=1)) as http:
        assert [(await http.post("/parcels")).status_code for _ in range(2)] == [200, 429]


def test_what_was_used_comes_back_with_time() -> None:
    now = 0.0
    limit = RateLimit(10, 2, clock=lambda: now)
    assert [limit.take("a")[0] for _ in range(3)] == [True, True, False]
    now += 0.1
    assert [limit.take("a")[0] for _ in range(2)] == [True, False]
    now += 1000
    assert [limit.take("a")[0] for _ in range(3)] == [True, True, False]


def test_few_callers_are_counted_at_once() -> None:
    limit = RateLimit(1, 1, clock=lambda: 0.0)
    for number in range(MAX_CALLERS + 10):
        limit.take(str(number))
    assert len(limit._buckets) == MAX_CALLERS
    assert not limit.take(str(MAX_CALLERS))[0]


# Pages of other sites

SHOP = "https://shop.example.org"


async def test_pages_of_allowed_origins_may_ask(tmp_path: Path) -> None:
    door = Door(tmp_path, http_cors_origins=f"{SHOP}, https://other.example.org")
    asked = {
        "Origin": SHOP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    preflight = await door.client.options("/parcels", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == SHOP
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    from_page = {"Origin": SHOP, "Sec-Fetch-Site": "cross-site"}
    sent = await door.client.post("/parcels", headers={**from_page, "Authorization": f"Bearer {door.anna}"})
    assert sent.status_code == 200
    assert sent.headers["access-control-allow-origin"] == SHOP
    assert "WWW-Authenticate" in sent.headers["access-control-expose-headers"]
    refused = await door.client.post("/parcels", headers=from_page)
    problem(refused, 401)
    assert refused.headers["access-control-allow-origin"] == SHOP  # or the page could not read why


@pytest.mark.parametrize(
    "origin", ["https://evil.example.org", "http://shop.example.org", f"{SHOP}.evil.org", "null"]
)
async def test_pages_of_other_origins_may_not(tmp_path: Path, origin: str) -> None:
    door = Door(tmp_path, http_cors_origins=SHOP)
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = await door.client.options("/parcels", headers=asked)
    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in preflight.headers
    sent = await door.client.post(
        "/parcels", headers={"Origin": origin, "Authorization": f"Bearer {door.anna}"}
    )
    problem(sent, 403)


async def test_pages_of_other_sites_may_not_ask_unless_it_is_set(door: Door) -> None:
    asked = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}
    assert (await door.client.options("/parcels", headers=asked)).status_code == 401
    sent = await door.client.post(
        "/parcels", headers={"Origin": SHOP, "Authorization": f"Bearer {door.anna}"}
    )
    problem(sent, 403)
    assert "access-control-allow-origin" not in sent.headers


@pytest.mark.parametrize("origin", ["shop.example.org", f"{SHOP}/", f"{SHOP}/path", "ftp://shop", "https://"])
def test_origins_that_no_browser_names_end_the_start(origin: str) -> None:
    with pytest.raises(Misconfigured, match="EVENTBUS_HTTP_CORS_ORIGINS"):
        Access.of(AccessSettings(http_cors_origins=origin))


def test_every_answer_is_in_the_document(door: Door) -> None:
    bus: Any = object()
    app = create_app(
        "test",
        why_not_ready=lambda: "",
        max_body=1_000,
        routes=http_routes(routes, bus),
        rules=RULES,
        access=Access.of(door.settings),
    )
    document = json.loads(json.dumps(app.openapi()))
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    placed = document["paths"]["/parcels"]["post"]
    assert placed["security"] == [{"bearer": []}]
    assert {"401", "403", "429"} <= set(placed["responses"])
    assert "place" in placed["description"]
    health = document["paths"]["/healthz"]["get"]
    assert "security" not in health and "401" not in health["responses"]
