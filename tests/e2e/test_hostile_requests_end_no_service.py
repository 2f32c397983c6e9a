"""Broken framing, odd headers, bodies and paths, and requests that come too slowly: no 5xx, no hang, no smuggling.

``make fuzz-http`` sends more of them to the system that ``make up`` started.
"""

from __future__ import annotations

import os

import pytest

from tests.e2e.running import SERVICES, LocalStack
from verification.requests.__main__ import assail_all

SEED = int(os.environ.get("FUZZ_HTTP_SEED", "1"))
REQUESTS = 400


@pytest.mark.timeout(300)
async def test_whatever_is_sent_is_answered_or_refused(
    stack: LocalStack, capsys: pytest.CaptureFixture[str]
) -> None:
    before = stack.pids()
    reports = await assail_all({name: stack.url(name) for name in SERVICES}, SEED, REQUESTS)
    with capsys.disabled():
        print(f"\n{sum(one.requests for one in reports.values())} hostile requests, FUZZ_HTTP_SEED={SEED}")
    for name, report in reports.items():
        assert not report.findings, "\n".join([f"{name}, FUZZ_HTTP_SEED={SEED}", *report.findings[:5]])
        assert report.answered > REQUESTS // 2
        assert stack.is_ready(name)
    assert stack.pids() == before, "a service was restarted"
