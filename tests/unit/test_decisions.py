"""The figures in the decisions are those of the code."""

from __future__ import annotations

import re
from typing import Any

import pytest

from eventbus.kafka import clients
from eventbus.settings import Settings
from tools.stack.settings import ROOT

DECISIONS = ROOT / "docs" / "decisions"


def test_decision_2_gives_the_wait_between_transactions_that_the_producer_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(clients, "Producer", made.append)

    clients.transactional_producer(Settings(), "order-0")

    text = (DECISIONS / "0002-exactly-once-transactions.md").read_text()
    written = re.search(r"`retry.backoff.ms` is (\d+)", text)
    assert written and int(written[1]) == made[0]["retry.backoff.ms"]


def test_every_decision_stands_in_the_list() -> None:
    listed = re.findall(r"^(\d+)\. \[.*\]\((.*)\)$", (DECISIONS / "README.md").read_text(), re.MULTILINE)
    assert [name for _, name in listed] == sorted(p.name for p in DECISIONS.glob("0*.md"))
    assert all(int(number) == int(name[:4]) for number, name in listed)
