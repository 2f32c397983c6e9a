"""The running services answer as their OpenAPI documents say, whatever schemathesis makes of these documents.

``make schemathesis`` does the same to the system that ``make up`` started, with another seed each time.
"""

from __future__ import annotations

import os

import pytest

from tests.e2e.running import SERVICES, LocalStack
from verification.openapi import examine_service

SEED = int(os.environ.get("SCHEMATHESIS_SEED", "1"))
EXAMPLES = 10


@pytest.mark.last
@pytest.mark.timeout(300)
@pytest.mark.parametrize("service", SERVICES)
def test_every_answer_is_as_documented(
    service: str, stack: LocalStack, capsys: pytest.CaptureFixture[str]
) -> None:
    examined = examine_service(stack.url(service), SEED, EXAMPLES)
    with capsys.disabled():
        print(f"\n{service}: {examined.requests} requests to {examined.operations} operations, seed {SEED}")
    assert not examined.findings, "\n".join([f"SCHEMATHESIS_SEED={SEED}", *examined.findings[:5]])
    assert examined.requests > 10 * examined.operations
    assert stack.is_ready(service)
