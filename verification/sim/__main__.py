"""``python -m verification.sim``: live many seeds, or one again with its trace. Exit status 1 if one fails."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import time

from verification.sim.mutants import MUTANTS
from verification.sim.run import SeedResult, run_seeds


def main(argv: list[str] | None = None) -> int:
    """Run the seeds that the options name, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m verification.sim", description=__doc__.split(":", 1)[1])
    parser.add_argument("--seeds", type=int, default=2_000, help="how many seeds (2000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--trace", action="store_true", help="show everything that happens")
    parser.add_argument("--failures", type=int, default=1, help="stop after so many failing seeds (1)")
    parser.add_argument("--mutant", choices=MUTANTS, help="plant this bug first: it is to be found")
    options = parser.parse_args(argv)
    logging.disable(logging.CRITICAL)
    seeds = range(options.first, options.first + options.seeds)
    if options.seed is not None:
        seeds = range(options.seed, options.seed + 1)
    began, failed, count = time.perf_counter(), 0, 0
    try:
        with MUTANTS[options.mutant]() if options.mutant else contextlib.nullcontext():
            for outcome in run_seeds(seeds, show=print if options.trace else None):
                count += 1
                if outcome.violations:
                    failed += 1
                    report(outcome, options.mutant)
                elif options.seed is not None:
                    print(f"seed {outcome.seed}: clean, trace {outcome.digest}")
                if failed >= options.failures:
                    break
    finally:
        logging.disable(logging.NOTSET)
    elapsed = time.perf_counter() - began
    print(f"{count:,} seeds, {failed} failed, {elapsed:.1f} s, {count / elapsed * 60:,.0f} seeds a minute")
    return int(failed > 0)


def report(outcome: SeedResult, mutant: str | None) -> None:
    """Say what is wrong, and how to see it again."""
    print(f"seed {outcome.seed} FAILS, trace {outcome.digest}:")
    for violation in outcome.violations[:20]:
        print(f"  {violation}")
    again = f"--mutant {mutant} " if mutant else ""
    print(f"again, with its trace: python -m verification.sim {again}--seed {outcome.seed} --trace")


if __name__ == "__main__":
    sys.exit(main())
