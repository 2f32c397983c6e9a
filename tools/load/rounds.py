"""``python -m tools.load.rounds``: what orders that cannot be paid cost the others.

The same load runs with a share of bad orders and without any, by turns, and the latencies of the good ones from POST
to CONFIRMED are compared: the two kinds of round share whatever else the machine does.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from math import nan
from statistics import median
from typing import Any

import aiohttp
from confluent_kafka import KafkaException

from tools import system
from tools.load.__main__ import run
from tools.load.generate import NotStocked, Plan, generate
from tools.stack.settings import StackError

FROM_TO = "POST to CONFIRMED"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m tools.load.rounds", description=__doc__)
    made.add_argument("--rate", type=float, default=150.0, help="orders a second, bad ones included (150)")
    made.add_argument("--seconds", type=float, default=20.0, help="of each run (20)")
    made.add_argument("--rounds", type=int, default=5, help="of one run without and one with (5)")
    made.add_argument("--bad-share", type=float, default=0.05, help="of orders that cannot be paid (0.05)")
    made.add_argument("--patience", type=float, default=30.0, help="seconds to wait for the last (30)")
    made.add_argument("--json", action="store_true", help="print JSON")
    system.add_options(made)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the rounds and print each and their medians; 1 if a good order was refused or did not settle."""
    options = parser().parse_args(argv)
    without = Plan(options.rate, options.seconds)
    plans = {"without": without, "with": replace(without, bad_share=options.bad_share)}
    rounds: list[dict[str, dict[str, Any]]] = []
    try:
        where = system.find(options)
        for number in range(options.rounds):
            # Each kind goes first in every other round.
            order = list(plans) if number % 2 == 0 else list(reversed(plans))
            rounds.append(
                {kind: run(generate(where, plans[kind], options.patience)).result() for kind in order}
            )
            if not options.json:
                print(
                    line(
                        f"round {number + 1}",
                        {kind: found["ms"][FROM_TO] for kind, found in rounds[-1].items()},
                    )
                )
    except (aiohttp.ClientError, TimeoutError, NotStocked, StackError, KafkaException) as error:
        print(f"The system cannot be loaded: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    middle = {kind: medians([one[kind]["ms"][FROM_TO] for one in rounds]) for kind in plans}
    cost = median(quotient({kind: one[kind]["ms"][FROM_TO] for kind in plans}) for one in rounds)
    if options.json:
        print(json.dumps({"rounds": rounds, "medians": middle, "quotient": round(cost, 3)}, indent=2))
    else:
        print(f"{line('median', middle)}\nThe median of the rounds' quotients is {cost:.2f}.")
    results = [one[kind] for one in rounds for kind in plans]
    return 0 if all(r["answers"].keys() == {"202"} and not r["notSettled"] for r in results) else 1


def medians(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of each percentile, the median over the rounds."""
    return {name: median(one.get(name, nan) for one in found) for name in ("p50", "p99")}


def line(title: str, ms: dict[str, dict[str, float]]) -> str:
    """One row: p50 and p99 in ms without and with bad orders, and the quotient of the two p99."""
    columns = [
        f"{kind}: p50 {ms[kind]['p50']:.1f} p99 {ms[kind]['p99']:.1f} ms" for kind in ("without", "with")
    ]
    return f"{title:<10}{columns[0]:<40}{columns[1]:<40}p99 x {quotient(ms):.2f}"


def quotient(ms: dict[str, dict[str, float]]) -> float:
    """The p99 with bad orders, as a multiple of the p99 without."""
    return ms["with"].get("p99", nan) / ms["without"].get("p99", nan)


if __name__ == "__main__":
    sys.exit(main())
