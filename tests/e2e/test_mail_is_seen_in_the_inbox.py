"""``make up MAIL=1`` on a running system: the order with a contact that the README shows is seen in the inbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.running import ROOT, LocalStack
from tests.e2e.waiting import until
from tests.support.readme import commands

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def inbox(stack: LocalStack) -> Iterator[str]:
    """Where the inbox of the system is; it is gone afterwards."""
    stack.env["MAIL"] = "1"
    try:
        printed = stack.up()
        url = f"http://127.0.0.1:{stack.settings.inbox_port}"
        assert f"{url}  (mails to customers)" in printed
        yield url
    finally:
        del stack.env["MAIL"]
        stack.up()
    assert "inbox" not in stack.pids()


def readme_order() -> dict[str, Any]:
    """The body of the README's order with a contact."""
    [line] = [c.text for c in commands((ROOT / "README.md").read_text()) if '"contact"' in c.text]
    body: dict[str, Any] = json.loads(line.split("-d '")[1].split("'")[0])
    return body


def test_the_order_of_the_readme_is_seen_in_the_inbox(stack: LocalStack, inbox: str) -> None:
    body = readme_order()
    answer = httpx.post(f"{stack.url('order')}/orders", json=body, headers={"Prefer": "wait=10"}, timeout=30)
    assert answer.json()["status"] == "CONFIRMED", answer.text
    order_id = answer.json()["orderId"]

    def mails() -> list[dict[str, Any]] | None:
        found = [mail for mail in httpx.get(f"{inbox}/mails").json() if order_id in mail["messageId"]]
        return found if len(found) == 2 else None

    confirmed, created = until(mails, 30, "two mails are there")
    assert created["to"] == confirmed["to"] == [body["contact"]["email"]]
    assert "OrderCreated" in created["messageId"] and "OrderConfirmed" in confirmed["messageId"]
    assert created["references"] == confirmed["references"], "one thread"
    assert order_id in created["text"] and order_id in httpx.get(inbox).text
