"""``python -m verification.openapi``: whether the running services answer as their OpenAPI documents say.

schemathesis makes requests from each document, valid ones and wrong ones, and from its examples; then it follows what
one answer says to the next call. All of its checks are on. A route that is added is in the document, so it is
covered by itself. Prints the seed and the number of requests; ends with 1 if anything was not as documented.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import re
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import schemathesis
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.openapi.checks import RejectedPositiveData

from tools.registry import STARTED
from tools.stack.settings import StackSettings, credentials

KEY = "Idempotency-Key"
BEYOND = (
    (
        r"(items\[[0-9]+\]\.)?quantity: .* valid integer",
        "2.0 is an integer in JSON Schema, and no integer here",
    ),
    (r"(items\[[0-9]+\]\.)?unitPrice: is needed: .*", "what the price list has is data"),
    (r".* must not have control characters", "schemathesis draws characters that Unicode has not assigned"),
    (r"items: the total .*", "no schema adds prices up"),
    (r"Last-Event-ID: .*", "a position has a number for each partition; how many there are is a setting"),
    (r"[a-z]*[cC]ursor: .*", "a cursor is one that a page gave; no schema says which these are"),
    (r"(createdAfter|asOf): must be a time .*", "no pattern says how many days a month has"),
    (r"asOf: lies in the future", "no schema says what time it is"),
    (r"wait: has no meaning with asOf.*", "no schema of a parameter knows of another one"),
)
"""Refusals of requests that are valid by their schema, and why no schema can say it. Anything else is a finding."""
SECONDS = 20.0
"""How long one request may take; one that takes longer is a finding."""


@schemathesis.serializer("application/x-ndjson")
def lines(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """A text as it is, any other value as one line of JSON."""
    return value.encode() if isinstance(value, str) else json.dumps(value).encode() + b"\n"


@dataclass(frozen=True)
class Examined:
    """What one service was asked, and what was not as documented."""

    operations: int
    requests: int
    findings: tuple[str, ...]


def configuration(seed: int, examples: int, headers: dict[str, str] | None = None) -> schemathesis.Config:
    """All checks, all phases.

    ``examples``: fuzzed requests for each operation and phase, at most. ``headers``: of each request: credentials.
    """
    return schemathesis.Config.from_dict(
        {
            "seed": seed,
            "workers": 1,
            "request-timeout": SECONDS,
            "headers": headers or {},
            "continue-on-failure": True,
            # A run must not depend on the ones before it.
            "cache": {"enabled": False},
            "generation": {"max-examples": examples, "database": "none"},
            "checks": {"enabled": True},
        }
    )


def examine(schema: Any) -> Examined:
    """Ask what ``schema``, one that schemathesis has loaded, describes."""
    requests, findings = 0, []
    for event in schemathesis.engine.from_schema(schema).execute():
        if isinstance(event, FatalError | NonFatalError):
            findings.append(repr(event))
        if isinstance(event, ScenarioFinished):
            requests += len(event.recorder.cases)
            findings += failures(event.recorder)
    return Examined(len(schema), requests, tuple(dict.fromkeys(findings)))


_RUN, _numbers = uuid.uuid4().hex, itertools.count()


@schemathesis.hook
def before_call(context: Any, case: schemathesis.Case[Any], kwargs: Any) -> None:
    """Have each valid request bring a key of its own, as clients must: a key with another body is refused.

    And have streams end at once.
    """
    if case.path.endswith("/stream") and _is_duration(case.query.get("seconds", 0)):
        case.query["seconds"] = 0
    valid = case.meta is not None and case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE
    if valid and KEY in (case.headers or {}):
        case.headers[KEY] = f"{case.headers[KEY][:200]}-{_RUN}-{next(_numbers)}"


def _is_duration(value: Any) -> bool:
    try:
        return 0 <= float(value) < float("inf")
    except (TypeError, ValueError):
        return False


def failures(recorded: ScenarioRecorder) -> Iterator[str]:
    """What was not as documented, and how to see it again."""
    for case_id, checks in recorded.checks.items():
        interaction = recorded.interactions.get(case_id)
        for failed in (check.failure_info for check in checks if check.failure_info):
            rejected = isinstance(failed.failure, RejectedPositiveData)
            if not (rejected and interaction and is_beyond_schemas(interaction.response)):
                answer = interaction.response.text[:500] if interaction and interaction.response else ""
                yield f"{failed.failure}\n{failed.code_sample}\n{answer}"


def is_beyond_schemas(answer: schemathesis.Response | None) -> bool:
    """Whether a request was refused only for what :data:`BEYOND` lists."""
    errors = (
        answer.json().get("errors", ()) if answer is not None and answer.status_code in (400, 422) else ()
    )
    refusals = [f"{error['field']}: {error['message']}" for error in errors]
    return bool(refusals) and all(any(re.fullmatch(rule, one) for rule, _ in BEYOND) for one in refusals)


def examine_service(url: str, seed: int, examples: int, headers: dict[str, str] | None = None) -> Examined:
    """Ask the service at ``url`` all that its own document describes."""
    config, headers = configuration(seed, examples, headers), headers or {}
    return examine(schemathesis.openapi.from_url(f"{url}/openapi.json", config=config, headers=headers))


def main(arguments: list[str]) -> int:
    """Examine each service of the local stack; 1 if anything was not as documented."""
    parser = argparse.ArgumentParser(prog="python -m verification.openapi", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=random.randrange(1_000_000), help="the same requests again"
    )
    parser.add_argument("--examples", type=int, default=20, help="fuzzed requests for each call and phase")
    options = parser.parse_args(arguments)
    stack = StackSettings.from_env(os.environ)
    found = 0
    for service in STARTED:
        examined = examine_service(stack.url(service.name), options.seed, options.examples, credentials())
        print(
            f"{service.name}: {examined.requests} requests to {examined.operations} operations, "
            f"seed {options.seed}: {len(examined.findings)} findings"
        )
        for finding in examined.findings:
            print(f"\n{finding}\n")
        found += len(examined.findings)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
