"""Records that are almost valid stop no service, block no other message, and leave the audit clean.

``FUZZ_RECORDS`` and ``FUZZ_SEED`` choose how many and which; ``make fuzz`` writes thousands.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eventbus.model.places import Position
from tests.integration.history import Shop
from tests.support.audits import audit_of
from tests.support.fuzzing import generate
from tests.support.system import SERVICES, System
from verification.audit.judge import AuditResult
from verification.audit.report import text
from verification.hostile import consequences
from verification.hostile.aside import set_aside
from verification.hostile.catalogue import FAMILIES, Catalogue
from verification.hostile.writing import Writer

RECORDS = int(os.environ.get("FUZZ_RECORDS") or 400)
SEED = int(os.environ.get("FUZZ_SEED") or 8)
AT_ONCE = 100


@pytest.mark.timeout(240 + RECORDS)
def test_the_catalogue_and_a_fuzz_of_every_input_end_with_all_up_no_lag_and_a_clean_audit(
    system: System,
) -> None:
    shop, writer = Shop(system), Writer(system.settings)
    for process in shop.services.values():
        process.start(ORDER_DEADLINE="20s", EVENTBUS_RETRY_BACKOFF="0.2")
    for process in shop.services.values():
        process.wait_ready()
    system.stock(shop["inventory"], 1000, "cup")
    partitions = system.settings.partitions
    records = [*Catalogue(partitions).all_of(*FAMILIES), *generate(RECORDS, SEED, partitions)]

    for begin in range(0, len(records), AT_ONCE):
        writer.write(records[begin : begin + AT_ONCE])
        shop.order("CONFIRMED")
    print(f"{len(writer.written)} records of seed {SEED} written, {len(writer.refused)} not taken by Kafka")

    system.wait_consumed(*SERVICES, timeout=60.0 + RECORDS / 20)
    shop.wait_settled()
    for process in shop.services.values():
        assert process.alive and process.is_ready(), process.tail()
        assert_is_text(process.log)
    print(dict(consequences.read(system.settings, writer.written.keys()).count(writer.written)))
    named = forged(audit_of(system, shop.simulator, wait=60.0), writer)
    shop.stop()
    set_aside(system.settings, named, "written by the fuzz")
    shop.start()
    verdict = audit_of(system, shop.simulator, wait=60.0)
    assert verdict.clean, text(verdict)
    assert not verdict.open, text(verdict)
    print(f"{len(named)} records that no leader can have written were named by the audit and set aside")


def assert_is_text(log: Path) -> None:
    """M8: whatever records hold, no line of a log has an escape sequence, or is another's."""
    for line in log.read_text().split("\n"):
        assert line.isprintable(), line
        assert line.startswith(("20", "    ")) or not line, line


def forged(verdict: AuditResult, writer: Writer) -> list[Position]:
    """What the audit names; nothing but records that the fuzz wrote to a log or a retry topic."""
    written = {str(place): place for place in writer.written}
    rules = ("one writer a log", "key versions")
    wrong = [v for v in verdict.violations if v.rule not in rules or v.where not in written]
    assert wrong == []
    return sorted({written[violation.where] for violation in verdict.violations})
