"""The demo without a network: invoices as they are, what is odd about them, and how the result is told."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Mapping
from math import nan
from pathlib import Path
from typing import Any, cast

import pytest
from yarl import URL

from tools.arrivals import Settled, percentile
from tools.demo.__main__ import SAMPLE
from tools.demo.invoices import BadData, Invoice, Line, dirt, load, needed
from tools.demo.posting import Answer, Client, Post, adjustments, orders, send_all
from tools.demo.tally import Tally, reason


def invoice(number: str, *lines: tuple[str, int, str], customer: str | None = "17850") -> Invoice:
    return Invoice(number, customer, tuple(Line(*line) for line in lines))


GOOD = invoice("1", ("A", 2, "1.50"))
RETURN = invoice("C2", ("A", -1, "1.50"))
NOBODY = invoice("3", ("Z", 5, "0.0"), customer=None)


def test_the_sample_has_all_the_dirt_of_the_whole() -> None:
    sample = load(SAMPLE)
    assert len(sample) == 120
    kinds = {kind for one in sample for kind in dirt(one)}
    assert len(kinds) == 7, kinds
    sizes = sorted(len(one.lines) for one in sample)
    assert (sizes[0], sizes[-1]) == (1, 675)
    codes = {line.product for one in sample for line in one.lines}
    assert {"POST", "BANK CHARGES", "M", "D"} <= codes


def test_the_sample_keeps_its_attribution() -> None:
    text = (SAMPLE.parent / "README.md").read_text()
    assert "doi:10.24432/C5BW33, licensed CC BY 4.0" in text
    assert f"{len(load(SAMPLE))} of the 2,025 invoices" in text


def test_plain_and_gzipped_files_read_the_same(tmp_path: Path) -> None:
    text = SAMPLE.read_text().splitlines(keepends=True)[:5]
    packed = tmp_path / "some.jsonl.gz"
    packed.write_bytes(gzip.compress("".join([*text, "\n"]).encode()))
    assert load(packed) == load(SAMPLE)[:5]


def test_a_line_that_is_no_invoice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"invoiceNo":"1","customerId":null,"lines":[]}\n{"invoiceNo":"2"}\n')
    with pytest.raises(BadData, match=r"bad\.jsonl, line 2: not an invoice"):
        load(path)


def test_an_invoice_is_posted_as_it_is() -> None:
    assert json.loads(NOBODY.body("card")) == {
        "userId": None,
        "items": [{"productId": "Z", "quantity": 5, "unitPrice": "0.0"}],
        "currency": "GBP",
        "paymentMethod": "card",
    }


def test_what_is_needed_is_the_sum_of_positive_quantities() -> None:
    twice = invoice("4", ("A", 3, "1"), ("A", 4, "1"), ("Z", -9, "1"))
    assert needed([GOOD, RETURN, NOBODY, twice]) == {"A": 9, "Z": 5}


@pytest.mark.parametrize(
    ("one", "kinds"),
    [
        (GOOD, ["clean"]),
        (RETURN, ["returns (numbers beginning with C)"]),
        (NOBODY, ["no customer", "lines at price zero"]),
        (invoice("5", ("A", 0, "1")), ["quantities of zero or less elsewhere"]),
        (invoice("6", ("POST", 1, "18.0")), ["codes that are no goods (POST, M, BANK CHARGES)"]),
        (invoice("7", ("A", 1, "1"), ("A", 1, "1")), ["the same product more than once"]),
    ],
)
def test_what_is_odd_about_an_invoice_is_named(one: Invoice, kinds: list[str]) -> None:
    assert dirt(one) == kinds


def test_keys_belong_to_a_run_and_an_invoice() -> None:
    [post] = orders("http://order", "r1", [("536365", b"{}")])
    assert (str(post.url), post.key) == ("http://order/orders", "demo-r1-536365")
    [adjustment] = adjustments("http://inventory", "r1", {"BANK CHARGES/1": 3})
    assert str(adjustment.url) == "http://inventory/stock/BANK%20CHARGES%2F1/adjustments"
    assert json.loads(adjustment.body) == {"quantity": 3, "reason": "demo r1"}


class StubClient:
    """Answers at once, and counts how many were asked at a time."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def post(self, url: URL, body: bytes, key: str) -> Answer:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        return Answer(202, {"orderId": key}, 0.0, 0, False)


async def test_requests_in_flight_are_bounded_and_none_is_lost() -> None:
    client = StubClient()
    posts = [Post(str(n), URL("http://x"), b"", f"k{n}") for n in range(50)]
    seen = {name: answer.body["orderId"] async for name, answer in send_all(cast(Client, client), posts, 8)}
    assert seen == {str(n): f"k{n}" for n in range(50)}
    assert client.most == 8


def answer(status: int, body: Mapping[str, Any], replayed: bool = False) -> Answer:
    return Answer(status, body, 10.0, 1 if replayed else 0, replayed)


def test_the_report_says_what_became_of_every_invoice() -> None:
    wrong = {
        "errors": [{"field": "items[12].quantity", "message": "quantity must be from 1 to 100000, got -1"}]
    }
    other = invoice("8", ("A", 1, "1"))
    tally = Tally([GOOD, RETURN, other])
    tally.answers = {
        "1": answer(202, {"orderId": "o1"}),
        "C2": answer(422, wrong),
        "8": answer(202, {"orderId": "o8"}, replayed=True),
    }
    tally.settled = {"o1": Settled("CONFIRMED", 10.5), "o8": Settled("FAILED", nan, "PAYMENT: no funds")}
    text = tally.text()
    assert "3 invoices: 2 accepted, 1 refused" in text
    assert "1  422 items[].quantity: quantity must be from 1 to 100000\n" in text
    assert "1  FAILED PAYMENT: no funds" in text
    assert "1 requests were repeated; 1 orders were taken in before" in text
    assert "1 orders of 1 items settled in 0.5 s: 2 orders/s, 2 items/s" in text
    assert "p50 500 ms, p95 500 ms, p99 500 ms" in text
    assert tally.open() == []


def test_an_order_that_does_not_settle_is_open() -> None:
    tally = Tally([GOOD])
    tally.answers = {"1": answer(202, {"orderId": "o1"})}
    assert tally.open() == ["o1"]
    assert "1  OPEN" in tally.text()
    assert "no order was heard settling" in tally.text()


def test_a_problem_without_errors_gives_its_detail() -> None:
    assert reason({"title": "Conflict", "detail": "it is so"}) == "it is so"
    assert reason({}) == "no reason given"


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([1.0], 0.5, 1.0), ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0), ([float(n) for n in range(1, 101)], 0.99, 99.0)],
)
def test_percentiles_are_nearest_ranks(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected
