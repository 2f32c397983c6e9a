"""``python -m bench``: 0 if all that was chosen could be measured (and with ``--guard`` is within its bounds)."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp
from confluent_kafka import KafkaException

from bench.alone import alone_in
from bench.base import tree_of
from bench.cpu import ProcessEnded
from bench.guard import BOUNDS, broken
from bench.machine import description
from bench.measurements import Measurement, choose, only
from bench.processes import NotMeasured
from bench.result import Row, as_json
from bench.run import PARTITIONS, REPLICATION, Run
from bench.table import table
from tools.demo.__main__ import SAMPLE
from tools.demo.invoices import BadData
from tools.demo.posting import GaveUp
from tools.load.generate import NotStocked
from tools.stack.settings import StackError, StackSettings

FAILURES = (
    NotMeasured,
    ProcessEnded,
    StackError,
    NotStocked,
    BadData,
    GaveUp,
    KafkaException,
    aiohttp.ClientError,
    OSError,
)
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""A terminal that is closed, or a kill, ends a run like Ctrl-C: nothing may stay behind."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m bench", description="This project beside references: a table of ratios."
    )
    made.add_argument(
        "--rows", default="", help="names with commas between (default: the rows that matter most)"
    )
    made.add_argument("--full", action="store_true", help="all rows")
    made.add_argument("--base", help="a commit to compare with")
    made.add_argument(
        "--data", type=Path, default=SAMPLE, help="invoices, .jsonl or .jsonl.gz (default: the sample)"
    )
    made.add_argument("--rounds", type=int, default=3, help="that count, of each row (3)")
    made.add_argument("--seconds", type=float, default=10.0, help="of each window (10)")
    made.add_argument(
        "--guard", action="store_true", help="two short rows against wide bounds, for CI: 1 if beyond"
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table and write it as JSON; 1 if a bound is broken, 2 if something could not be measured."""
    options = parser().parse_args(argv)
    if options.rounds < 1 or options.seconds <= 0:
        print("--rounds must be at least 1 and --seconds positive.", file=sys.stderr)
        return 2
    if options.guard:
        options.rows, options.rounds, options.seconds = ",".join(BOUNDS), 2, 5.0
    for number in ENDING:
        signal.signal(number, signal.default_int_handler)
    wanted = [name.strip() for name in options.rows.split(",") if name.strip()]
    try:
        run_dir = StackSettings.from_env(os.environ).run_dir
        about = description()
        chosen = choose(wanted, options.full, options.base is not None)
        base = tree_of(options.base, run_dir / "bench-base") if options.base else None
        with started(run_dir / "bench", options, base) as run:
            rows, failures = measured(run, chosen)
    except FAILURES as error:
        print(f"Nothing was measured: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if rows := only(rows, wanted):
        (run_dir / "bench.json").write_text(as_json(rows, about=about) + "\n")
        print(f"{table(rows, about)}\n\nThe same as JSON: {run_dir / 'bench.json'}")
    wrong = [f"The guard fails: {sentence}" for sentence in broken(rows)] if options.guard else []
    for sentence in (*failures, *wrong):
        print(sentence, file=sys.stderr)
    return 2 if failures else 1 if wrong else 0


def measured(run: Run, chosen: Sequence[Measurement]) -> tuple[list[Row], list[str]]:
    """The rows of all measurements, and a sentence for each one that failed: the others go on."""
    rows: list[Row] = []
    failures: list[str] = []
    for one in chosen:
        try:
            rows += one.measure(run)
        except FAILURES as error:
            failures.append(f"{one.name} could not be measured: {error}")
            run.say(failures[-1])
    return rows, failures


@contextmanager
def started(folder: Path, options: argparse.Namespace, base: Path | None) -> Iterator[Run]:
    """A run in a folder of its own. Whatever ends it, all that it started is ended. Raises NotMeasured."""
    # topics are the same here and there, whatever the shell says
    os.environ |= {"EVENTBUS_PARTITIONS": str(PARTITIONS), "EVENTBUS_REPLICATION_FACTOR": str(REPLICATION)}
    with alone_in(folder), ExitStack() as stack:
        for old in ("logs", "references"):
            shutil.rmtree(folder / old, ignore_errors=True)
        stack.callback(shutil.rmtree, folder / "references", ignore_errors=True)
        try:
            yield Run(folder, stack, options.rounds, options.seconds, options.data, base)
        finally:
            for number in ENDING:
                signal.signal(number, signal.SIG_IGN)  # another Ctrl-C would leave processes behind


if __name__ == "__main__":
    sys.exit(main())
