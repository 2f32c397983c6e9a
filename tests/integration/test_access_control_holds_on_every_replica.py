"""Running services with access control on: keys, tokens, customers, and who wished what, on two replicas."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from eventbus.access.api_keys import new_key
from eventbus.model.messages import Author
from schemas import StockAdjusted
from testbed.issuer import AUDIENCE, ISSUER, Issuer
from tests.support.processes import ServiceProcess, run_python
from tests.support.system import System, problem
from tests.support.waiting import eventually

ISSUED_BY = Issuer()
ORDER = {"productId": "cup", "quantity": 1}


class Shop:
    """Two replicas of order and one of inventory, which know the same keys and trust the same issuer."""

    def __init__(self, kafka: str, directory: Path) -> None:
        self.system = System(kafka, directory, partitions=2)
        self.file = directory / "keys.jsonl"
        self.keys: dict[str, str] = {}
        self.lines: dict[str, str] = {}
        for name, scopes, user in (
            ("anna", ["place", "read", "cancel"], "anna"),
            ("ben", ["place", "read", "cancel", "complete"], "ben"),
            ("till", ["place", "price", "read", "complete"], None),
            ("depot", ["stock", "read"], None),
            ("ops", ["admin"], None),
        ):
            self.keys[name], self.lines[name] = new_key(name, scopes, user, None)
        self.write()
        (directory / "jwks.json").write_bytes(ISSUED_BY.public())
        self.env: dict[str, Any] = {
            "EVENTBUS_API_KEYS_FILE": str(self.file),
            "EVENTBUS_OIDC_ISSUER": ISSUER,
            "EVENTBUS_OIDC_AUDIENCE": AUDIENCE,
            "EVENTBUS_OIDC_JWKS": str(directory / "jwks.json"),
        }
        started = [self.system.service("order", slot, **self.env).start() for slot in range(2)]
        self.inventory = self.system.service("inventory", **self.env).start().wait_ready()
        self.orders = [replica.wait_ready() for replica in started]

    def write(self, *more: str) -> None:
        """Replace the file of keys by one with the lines that there are."""
        draft = self.file.with_suffix(".new")
        draft.write_text("\n".join([*self.lines.values(), *more]))
        os.replace(draft, self.file)

    def headers(self, name: str | None, **more: str) -> dict[str, str]:
        """``name``: whose key; or a token."""
        return {**({"Authorization": f"Bearer {self.keys.get(name, name)}"} if name else {}), **more}

    def place(self, name: str | None, replica: int = 0, key: str = "", **fields: Any) -> httpx.Response:
        headers = self.headers(name, **({"Idempotency-Key": key} if key else {}))
        return self.orders[replica].post("/orders", json={"userId": name, **ORDER, **fields}, headers=headers)

    def see(self, name: str | None, path: str, replica: int = 0) -> httpx.Response:
        return self.orders[replica].get(path, headers=self.headers(name))


@pytest.fixture(scope="module")
def shop(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    shop = Shop(kafka, tmp_path_factory.mktemp("access"))
    yield shop
    shop.system.close()


@pytest.mark.parametrize("replica", [0, 1])
def test_without_credentials_only_health_answers(shop: Shop, replica: int) -> None:
    for path in ("/orders/1", "/orders/1/events", "/metrics", "/dlq/preview?key=1"):
        answer = shop.see(None, path, replica)
        assert answer.status_code == 401 and problem(answer)["status"] == 401
        assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert shop.place(None, replica).status_code == 401
    assert shop.see(None, "/healthz", replica).status_code == 200
    assert shop.see(None, "/readyz", replica).status_code == 200


def test_a_customer_sees_its_own_orders_on_any_replica_and_others_do_not(shop: Shop) -> None:
    path = shop.place("anna").headers["location"]
    for replica in (0, 1):
        eventually(lambda r=replica: shop.see("anna", path, r).status_code == 200, "anna sees it")  # type: ignore[misc]
        assert shop.see("till", path, replica).json()["userId"] == "anna"
        for rest in ("", "/events"):
            assert problem(shop.see("ben", path + rest, replica))["title"] == "Order not found"
        for wish in ("cancel", "complete"):
            asked = shop.orders[replica].post(f"{path}/{wish}", headers=shop.headers("ben"))
            assert asked.status_code == 404
    assert shop.place("ben", userId="anna").status_code == 403
    assert shop.place("anna", unitPrice="0.01").status_code == 403
    assert shop.place("till", unitPrice="0.01").status_code == 202


def test_a_key_of_idempotency_belongs_to_its_caller_on_any_replica(shop: Shop) -> None:
    key = str(uuid.uuid4())
    first, repeat = shop.place("anna", 0, key), shop.place("anna", 1, key)
    other = shop.place("ben", 1, key)
    assert first.json()["orderId"] == repeat.json()["orderId"] != other.json()["orderId"]
    assert repeat.headers["idempotent-replay"] == "true"
    assert "idempotent-replay" not in other.headers


def test_access_tokens_are_taken_too(shop: Shop) -> None:
    token = ISSUED_BY.token("ES256", sub="carla")
    answer = shop.place(token, userId="carla")
    assert answer.status_code == 202, answer.text
    assert shop.see("ben", answer.headers["location"]).status_code == 404
    assert shop.place(ISSUED_BY.token(aud="billing"), userId="u1").status_code == 401


def test_metrics_and_dead_letters_are_for_operators(shop: Shop) -> None:
    for path in ("/metrics", "/dlq/preview?key=1"):
        assert shop.see("till", path).status_code == 403
        assert shop.see("ops", path).status_code == 200


def test_who_adjusted_the_stock_is_recorded_with_the_event(shop: Shop) -> None:
    key = str(uuid.uuid4())
    for name, status in (("anna", 403), ("depot", 202), ("depot", 202)):
        answer = shop.inventory.post(
            "/stock/cup/adjustments",
            json={"quantity": 5, "reason": "delivery"},
            headers=shop.headers(name, **{"Idempotency-Key": key}),
        )
        assert answer.status_code == status, answer.text
    adjusted = [
        e for e in shop.system.topics.envelopes("stock.events") if isinstance(e.message, StockAdjusted)
    ]
    assert [event.author for event in adjusted] == [Author("api_key", "key:depot")]
    assert [event.message.adjustment_id for event in adjusted] == [f"key:depot {key}"]  # type: ignore[attr-defined]


def test_who_placed_an_order_is_recorded_with_it_and_with_nothing_that_follows(shop: Shop) -> None:
    order_id = shop.place("anna", 0, str(uuid.uuid4())).json()["orderId"]
    eventually(lambda: "OrderReserved" in authors(shop, order_id), "inventory has answered")
    placed = {name: author for name, author in authors(shop, order_id).items() if author is not None}
    assert placed == {name: Author("api_key", "key:anna") for name in ("CreateOrder", "OrderCreated")}


def authors(shop: Shop, order_id: str) -> dict[str, Author | None]:
    """By the names of the messages about an order, who wished each."""
    topics = ("order.commands", "order.events", "inventory.events")
    found = [envelope for topic in topics for envelope in shop.system.topics.envelopes(topic)]
    return {e.message.name: e.author for e in found if e.message.key == order_id}


def test_keys_come_and_go_without_a_restart(shop: Shop) -> None:
    key, line = new_key("dora", ["read"], "dora", None)
    shop.keys["dora"] = key
    shop.write(line)
    for replica in (0, 1):
        eventually(lambda r=replica: shop.see("dora", "/orders/1", r).status_code == 404, "dora is known")  # type: ignore[misc]
    shop.write()
    for replica in (0, 1):
        eventually(lambda r=replica: shop.see("dora", "/orders/1", r).status_code == 401, "dora is gone")  # type: ignore[misc]
    assert shop.see("anna", "/orders/1").status_code == 404


def is_broken(shop: Shop) -> bool:
    lines = shop.see("ops", "/metrics").text.splitlines()
    return 'eventbus_access_source_broken{setting="EVENTBUS_API_KEYS_FILE"} 1.0' in lines


def test_a_file_that_breaks_leaves_everybody_in_and_ends_the_next_start(shop: Shop) -> None:
    shop.write("{")
    eventually(lambda: is_broken(shop), "the metric says so")
    assert shop.see("anna", "/orders/1").status_code == 404
    number = f"line {len(shop.lines) + 1}: "
    assert number in shop.orders[0].log.read_text()
    newcomer = shop.system.service("order", 2, **shop.env).start()
    assert newcomer.wait_end(40.0) == 1
    assert "Misconfigured" in newcomer.tail() and number in newcomer.tail()
    shop.write()
    eventually(lambda: not is_broken(shop), "the metric says that all is well")


def test_make_key_adds_a_key_that_works(shop: Shop) -> None:
    made = run_python(
        ["-m", "eventbus", "key", "--scopes", "place read", "--user", "emil", "--id", "emil"],
        {"EVENTBUS_API_KEYS_FILE": str(shop.file)},
    )
    shop.keys["emil"] = made.stdout.strip()
    assert made.returncode == 0, made.stderr
    assert shop.keys["emil"] not in made.stderr + shop.file.read_text()
    for replica in (0, 1):
        eventually(lambda r=replica: shop.see("emil", "/orders/1", r).status_code == 404, "emil is known")  # type: ignore[misc]
    assert shop.place("emil").status_code == 202
    before = shop.file.read_text()
    again = run_python(
        ["-m", "eventbus", "key", "--scopes", "admin", "--id", "emil"],
        {"EVENTBUS_API_KEYS_FILE": str(shop.file)},
    )
    assert again.returncode == 2 and "same id" in again.stderr
    assert shop.file.read_text() == before


@pytest.mark.parametrize(("host", "level"), [("127.0.0.1", "INFO"), ("0.0.0.0", "WARNING")])
def test_a_service_says_at_its_start_that_access_control_is_off(
    kafka: str, tmp_path: Path, host: str, level: str
) -> None:
    system = System(kafka, tmp_path, partitions=1)
    replica: ServiceProcess = system.service("notification", EVENTBUS_HTTP_HOST=host).start()
    said = eventually(
        lambda: [line for line in replica.log.read_text().splitlines() if "access control" in line], "it"
    )
    system.close()
    assert "is off" in said[0] and host in said[0] and level in said[0]
