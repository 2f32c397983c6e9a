"""What an audit by other code prints as JSON is read back as it was."""

from __future__ import annotations

from collections import Counter

from verification.audit.elsewhere import result_of
from verification.audit.findings import DeadLetter, OpenOrder, Violation
from verification.audit.judge import AuditResult, Money, Pieces
from verification.audit.report import as_json


def test_a_result_is_read_back_as_it_was() -> None:
    result = AuditResult(
        records=12,
        accepted=3,
        gateway=True,
        orders=Counter(CONFIRMED=2, FAILED=1),
        money={"GBP": Money(charged=500, refunded=250, gateway_charged=500)},
        pieces=Pieces(products=1, adjusted=40, available=38, held=2),
        open=[OpenOrder("o1", "PROCESSING", 1.5, "payment has not decided order.events-0-1")],
        dead={"o2": ["payment.dlq-0-0"]},
        letters=[DeadLetter("o2", "payment", "order.events-0-3", "payment.dlq-0-0", "UnknownSchema: 56", 7)],
        violations=[Violation("one writer a log", "o3", "a record of order", "another", "order.events-0-9")],
        skipped=["order.events-0-4"],
    )
    assert result_of(as_json(result)) == result
