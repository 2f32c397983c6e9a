"""M8: what the audit, the demo, the load and chaos print holds no escape sequence of a record's."""

from __future__ import annotations

import json
from collections import Counter

from tools.arrivals import Settled
from tools.demo.invoices import Invoice
from tools.demo.posting import Answer
from tools.demo.tally import Tally
from tools.load import measure
from verification.audit.findings import DeadLetter, OpenOrder, Violation
from verification.audit.judge import AuditResult
from verification.audit.report import as_json, text
from verification.chaos.faults import FaultLog
from verification.chaos.order_ends import OrderEnds
from verification.chaos.order_load import LoadResult, Placed
from verification.chaos.report import ChaosResult, table

HOSTILE = "\x1b]52;c;eA==\x07\x9b2J\r\u202e\n   forged: all is well [red]"


def harmless(printed: str) -> bool:
    """Whether a terminal shows all of it, and no line of it is another's."""
    forged = any(line.startswith("   forged") for line in printed.splitlines())
    return printed.replace("\n", "").isprintable() and not forged


def verdict() -> AuditResult:
    found = AuditResult(1, 1, gateway=True)
    found.orders = Counter({HOSTILE: 1})
    found.violations = [Violation(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)]
    found.letters = [DeadLetter(HOSTILE, "order", HOSTILE, "order.dlq-0-0", HOSTILE, 0)]
    found.open = [OpenOrder(HOSTILE, "CREATED", 1.0, HOSTILE)]
    return found


def test_m8_the_audit_prints_hostile_records_as_text() -> None:
    printed = text(verdict())

    assert harmless(printed)
    assert "\\x1b]52;c;eA==\\x07" in printed


def test_m8_the_audits_json_is_json_and_harmless() -> None:
    printed = as_json(verdict())

    assert harmless(printed)
    assert json.loads(printed)["violations"][0]["subject"] == HOSTILE


def test_m8_the_table_of_chaos_prints_hostile_records_as_text() -> None:
    load = LoadResult(placed=[Placed(HOSTILE, 0.0, 1.0, 1, False)], answers=Counter({HOSTILE: 1}))
    load.settled = {HOSTILE: Settled("FAILED", 1.0, HOSTILE)}

    assert harmless(table(ChaosResult("Chaos", load, FaultLog(), OrderEnds(), verdict(), [HOSTILE])))


def test_m8_the_demo_prints_hostile_answers_as_text() -> None:
    tally = Tally([Invoice(HOSTILE, "anne", ())], {HOSTILE: Answer(202, {"orderId": HOSTILE}, 0.0, 1, False)})
    tally.settled = {HOSTILE: Settled(HOSTILE, 1.0, HOSTILE)}

    assert harmless(tally.text())


def test_m8_the_load_prints_hostile_answers_as_text() -> None:
    result = {
        "requests": 1,
        "achievedRate": 1.0,
        "rate": 1.0,
        "answers": {HOSTILE: 1},
        "ends": {HOSTILE: 1},
        "notSettled": 0,
        "bad": 0,
        "ms": {},
    }

    assert harmless(measure.table(result))
