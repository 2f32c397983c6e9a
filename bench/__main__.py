"""``python -m bench``: what ``make bench`` runs."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.machine import description
from bench.processes import NotMeasured
from bench.result import Row, as_json
from bench.rows.at_rate import at_rate
from bench.rows.cost import cost
from bench.run import Run
from bench.table import table
from tools.stack.settings import ROOT, StackError

MEASUREMENTS: dict[str, Callable[[Run], list[Row]]] = {
    "cost": cost,
    "at-100": partial(at_rate, rate=100),
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--rows", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--run-dir", type=Path, default=ROOT / ".run" / "bench")
    options = parser.parse_args(argv)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    rows = []
    try:
        with ExitStack() as stack:
            run = Run(options.run_dir, stack, options.rounds, options.seconds)
            for name, measure in MEASUREMENTS.items():
                if not options.rows or name in options.rows.split(","):
                    rows += measure(run)
    except (NotMeasured, StackError) as error:
        print(error, file=sys.stderr)
        return 2
    about = description()
    print(table(rows, about))
    (options.run_dir.parent / "bench.json").write_text(as_json(rows, about=about))
    return 0


if __name__ == "__main__":
    sys.exit(main())
