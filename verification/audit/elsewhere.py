"""An audit by other code than that of this process, for topics with messages that only newer code can read."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from tools.system import System
from verification.audit.findings import DeadLetter, OpenOrder, Violation
from verification.audit.judge import AuditResult, Money, Pieces
from verification.audit.reading import KafkaAway
from verification.trees import run


def audit_by(tree: Path, system: System, wait: float) -> AuditResult:
    """The result of ``python -m verification.audit`` by the code in ``tree``. Raises KafkaAway, with what it said."""
    done = run(
        tree,
        *("-m", "verification.audit", "--json", "--wait", str(wait), "--gateway-url", system.gateway),
        *("--bootstrap-servers", system.kafka.bootstrap_servers, "--topic-prefix", system.kafka.topic_prefix),
    )
    if done.returncode not in (0, 1) or not done.stdout:
        raise KafkaAway(
            f"the audit by the code in {tree} ended with {done.returncode}: {done.stderr.strip()}"
        )
    return result_of(done.stdout)


def result_of(text: str) -> AuditResult:
    """The result that ``as_json`` has put into a text."""
    found = json.loads(text)
    return AuditResult(
        found["records"],
        found["accepted"],
        found["comparedWithGateway"],
        Counter(found["orders"]),
        {currency: Money(**money) for currency, money in found["money"].items()},
        Pieces(**found["stock"]),
        [OpenOrder(**order) for order in found["open"]],
        found["deadLettered"],
        [DeadLetter(**letter) for letter in found["deadLetters"]],
        [Violation(**violation) for violation in found["violations"]],
        found["setAside"],
    )
