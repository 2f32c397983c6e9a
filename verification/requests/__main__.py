"""``python -m verification.requests``: whether the running services survive hostile requests.

No answer may be 5xx, but 503 with Retry-After. No connection may hang. No part of a request may be taken for another.
Prints the seed; ends with 1 if anything was found.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import urlopen

from tools.registry import STARTED
from tools.stack.settings import StackSettings
from verification.requests.drawn import Requests
from verification.requests.exchange import Hostile, Outcome, exchange

PATIENCE = 40.0
"""Seconds after which a connection without an answer hangs: four times what headers may take."""
AT_ONCE = 8


@dataclass(frozen=True)
class Report:
    """How many requests one service had, how many were answered, and what was found."""

    requests: int
    answered: int
    findings: tuple[str, ...]


async def assail(url: str, seed: int, count: int) -> Report:
    """Send ``count`` requests, and some slow ones, to the service at ``url``."""
    place = urlsplit(url)
    host, port = place.hostname or "localhost", place.port or 80
    document = await asyncio.to_thread(lambda: json.load(urlopen(f"{url}/openapi.json", timeout=30)))
    requests = Requests(document, place.netloc, f"{seed} {document['info']['title']}")
    findings: list[str] = []
    answered, free = 0, asyncio.Semaphore(AT_ONCE)

    async def one(hostile: Hostile) -> None:
        nonlocal answered
        async with free:
            outcome = await exchange(host, port, hostile, PATIENCE)
        answered += bool(outcome.statuses)
        if wrong := wrong_with(hostile, outcome):
            findings.append(
                f"{wrong}\n  {hostile.kind}: {shown(hostile)}\n  answer: {outcome.answer[:300]!r}"
            )

    slow = [asyncio.create_task(exchange(host, port, one, PATIENCE)) for one in requests.slow()]
    everything = list(requests.drawn(count))
    await asyncio.gather(*map(one, everything))
    for hostile, outcome in zip(requests.slow(), await asyncio.gather(*slow), strict=True):
        if wrong := wrong_with(hostile, outcome):
            findings.append(f"{wrong}\n  slow: {hostile.kind}")
    return Report(len(everything) + len(slow), answered, tuple(findings))


def wrong_with(hostile: Hostile, outcome: Outcome) -> str:
    """What may not be, in a sentence; empty if all is well."""
    for status in outcome.statuses:
        if status >= 500 and not (status == 503 and outcome.retry_after):
            return f"answered {status}"
    if not outcome.statuses and not outcome.closed:
        return f"no answer and no end within {outcome.seconds:.0f} s"
    if len(outcome.statuses) > hostile.most:
        return f"answered {len(outcome.statuses)} times: {outcome.statuses}"
    return ""


def shown(hostile: Hostile) -> str:
    raw = b"".join(hostile.pieces)
    return f"{raw[:600]!r}{' …' if len(raw) > 600 else ''}"


async def assail_all(urls: dict[str, str], seed: int, count: int) -> dict[str, Report]:
    """All services at once, each with so many requests."""
    reports = await asyncio.gather(*(assail(url, seed, count) for url in urls.values()))
    return dict(zip(urls, reports, strict=True))


def main(arguments: list[str]) -> int:
    """Assail each service of the local stack; 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m verification.requests", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=random.randrange(1_000_000), help="the same requests again"
    )
    parser.add_argument("--requests", type=int, default=2_000, help="to each service")
    options = parser.parse_args(arguments)
    stack = StackSettings.from_env(os.environ)
    urls = {service.name: stack.url(service.name) for service in STARTED}
    found = 0
    for name, report in asyncio.run(assail_all(urls, options.seed, options.requests)).items():
        print(
            f"{name}: {report.requests} requests, {report.answered} answered, seed {options.seed}: "
            f"{len(report.findings)} findings"
        )
        for finding in report.findings:
            print(f"\n{finding}\n")
        found += len(report.findings)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
