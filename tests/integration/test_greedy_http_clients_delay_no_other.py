"""H4, H5 and M3 on the real service: who takes more than his share is refused, and the others do not notice."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.support.processes import ServiceProcess
from tests.support.system import System, problem
from tests.support.waiting import eventually

ONE = {"userId": "anne", "productId": "cup", "quantity": 1}
JSON = {"content-type": "application/json"}
ITEM = {"productId": "p" * 100, "quantity": 1, "unitPrice": "2.55"}
HOSTILE = (
    b'{"items":[' + b"{}," * 349_000 + b"{}]}",
    b'{"userId":"anne","items":[' + b"{}," * 16_000 + b"{}]}",
    json.dumps({"userId": "a", "items": [{"productId": "p" * 100, "quantity": 10**900}] * 900}).encode(),
    json.dumps({"userId": "a", "items": [ITEM] * 1_999 + [ITEM | {"quantity": 0}]}).encode(),
    b"[" + b"1.5," * 49_000 + b"1]",
    b"[" * 1_000_000,
)


@contextmanager
def connections(service: ServiceProcess, count: int, begin: bytes) -> Iterator[list[socket.socket]]:
    """That many connections on which ``begin`` was sent, and nothing more."""
    opened = []
    try:
        for _ in range(count):
            opened.append(socket.create_connection(("127.0.0.1", service.port), timeout=5))
            if begin:
                opened[-1].sendall(begin)
        yield opened
    finally:
        for one in opened:
            one.close()


def errors(service: ServiceProcess) -> list[str]:
    """The lines of its log that report an error."""
    lines = service.log.read_text(errors="replace").splitlines()
    return [line for line in lines if " ERROR " in line or "Traceback" in line]


def slowest(service: ServiceProcess, times: int = 30) -> float:
    """The longest (s) that a good client waited for its answer, of so many."""
    waited = []
    with httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=30) as client:
        for _ in range(times):
            began = time.monotonic()
            answer = client.post("/orders", json=ONE)
            waited.append(time.monotonic() - began)
            assert answer.status_code == 202, answer.text
    return sorted(waited)[-2]  # one may be the machine's


def test_ten_clients_with_bad_bodies_delay_nobody(system: System) -> None:
    """2.5 s for one and 11 s for ten, before there were limits."""
    (order,) = system.start("order")
    over = threading.Event()

    def attack(body: bytes) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{order.port}", timeout=30) as client:
            while not over.is_set():
                answer = client.post("/orders", content=body, headers=JSON)
                assert answer.status_code in (400, 422), answer.text

    attackers = [threading.Thread(target=attack, args=[HOSTILE[i % len(HOSTILE)]]) for i in range(10)]
    for attacker in attackers:
        attacker.start()
    try:
        waited = slowest(order)
    finally:
        over.set()
        for attacker in attackers:
            attacker.join()
    assert waited < 1.0
    assert not errors(order)


def test_half_open_requests_are_ended_and_shut_nobody_out(system: System) -> None:
    """With 256 descriptors: 192 connections."""
    (order,) = system.start("order", EVENTBUS_HTTP_HEADER_TIMEOUT="2", EVENTBUS_HTTP_MAX_CONNECTIONS="200")
    with connections(order, 800, b"GET /orders/x HTTP/1.1\r\nhost: localhost\r\n"):
        assert slowest(order, 5) < 2.0
        assert order.metric("eventbus_http_connections") <= 201
        eventually(lambda: order.metric("eventbus_http_connections") < 10, "the slow ones are ended", 10)
    assert order.metric("eventbus_http_refused_total", reason="idle while others wait") > 500
    lines = [line for line in order.log.read_text().splitlines() if "refused over HTTP" in line]
    assert 1 <= len(lines) <= 4, "said once a kind and minute, not once a connection"


def test_with_few_descriptors_idle_connections_shut_nobody_out(system: System) -> None:
    """Once they made a service deaf, its clients of Kafka included."""
    order = system.service("order", module="tests.integration.few_descriptors", EVENTBUS_HTTP_KEEP_ALIVE="30")
    order.start().wait_ready()
    with connections(order, 900, b""):
        assert slowest(order, 5) < 2.0
        assert order.is_ready()
    assert not errors(order)


def test_a_client_that_hangs_up_is_no_error(system: System) -> None:
    """In its headers, its body, a long poll, and while it prefers to wait."""
    (order,) = system.start("order")
    held = order.post("/orders", json=ONE).json()["orderId"]
    head = b"host: localhost\r\n"
    body = json.dumps(ONE).encode()
    post = b"POST /orders HTTP/1.1\r\n" + head + b"content-type: application/json\r\ncontent-length: %d\r\n"
    for begin in (
        b"GET /orders/x HT",
        post % 1_000 + b"\r\n" + body[:20],
        b"GET /orders/%s?wait=20 HTTP/1.1\r\n" % held.encode() + head + b"\r\n",
        post % len(body) + b"prefer: wait=20\r\n\r\n" + body,
        post % len(body) + b"idempotency-key: k1\r\nprefer: wait=20\r\n\r\n" + body,
    ):
        with connections(order, 5, begin):
            time.sleep(0.5)  # nothing shows from outside that a handler waits
        assert order.post("/orders", json=ONE).status_code == 202
    assert not errors(order)
    assert order.stop() < 10, "no handler is left waiting"


def test_a_header_without_end_is_431_and_a_large_body_413(system: System) -> None:
    (order,) = system.start("order")
    with connections(order, 1, b"GET / HTTP/1.1\r\nx: " + b"y" * 60_000) as (client,):
        assert client.recv(100).startswith(b"HTTP/1.1 431")
    for content in (b" " * 5_000_000, (b" " * 65_536 for _ in range(100))):
        answer = order.http.post("/orders", content=content, headers=JSON)
        assert answer.status_code == 413 and answer.headers["connection"] == "close"
        assert problem(answer)["title"] == "Content Too Large"


def test_a_web_page_of_another_site_is_refused(system: System) -> None:
    order, inventory = system.start("order", "inventory")
    for service, path in ((order, "/orders"), (inventory, "/stock/cup/adjustments")):
        plain = service.post(path, content=json.dumps(ONE), headers={"content-type": "text/plain"})
        assert problem(plain)["status"] == 415
        foreign = service.post(path, json=ONE, headers={"origin": "https://evil.example.org"})
        assert problem(foreign)["status"] == 403
        rebound = service.get("/readyz", headers={"host": "evil.example.org"})
        assert problem(rebound)["status"] == 421
        assert service.get("/docs").status_code == 200


def test_odd_product_ids_are_refused_before_they_reach_a_topic(system: System) -> None:
    (inventory,) = system.start("inventory")
    before = system.topics.ends("stock.commands")
    for odd in ("%00", "%1b%5b2J", "%20", "x" * 101, "%E2%80%AE"):
        adjustment = {"quantity": 1, "reason": "delivery"}
        for answer in (
            inventory.post(f"/stock/{odd}/adjustments", json=adjustment),
            inventory.get(f"/stock/{odd}"),
        ):
            assert problem(answer)["status"] == 422
            assert answer.json()["errors"][0]["field"] == "productId"
    # A line break matches no route.
    assert inventory.post("/stock/a%0ab/adjustments", json=adjustment).status_code == 404
    keys = httpx.Headers([("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
    twice = inventory.post("/stock/cup/adjustments", json={"quantity": 1, "reason": "r"}, headers=keys)
    assert problem(twice)["errors"][0]["field"] == "Idempotency-Key"
    assert system.topics.ends("stock.commands") == before
