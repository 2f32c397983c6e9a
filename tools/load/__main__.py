"""``python -m tools.load --rate 200 --seconds 60``: 0 if every request was accepted and every order settled."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import aiohttp
from confluent_kafka import KafkaException

from tools import system
from tools.load.generate import NotStocked, Plan, generate
from tools.load.measure import as_json, table
from tools.stack.settings import StackError

T = TypeVar("T")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m tools.load", description="Orders at a fixed rate, measured."
    )
    made.add_argument("--rate", type=float, default=200.0, help="orders a second (200)")
    made.add_argument("--seconds", type=float, default=20.0, help="for how long (20)")
    made.add_argument("--items", type=int, default=1, help="items of an order (1)")
    made.add_argument("--products", type=int, default=100, help="products that take turns (100)")
    made.add_argument("--payment-method", default="tok_ok", help="of all orders (tok_ok)")
    made.add_argument(
        "--bad-share", type=float, default=0.0, help="of orders that cannot be paid, from 0 to 1 (0)"
    )
    made.add_argument("--keyed", action="store_true", help="send an Idempotency-Key: answered once decided")
    made.add_argument(
        "--patience", type=float, default=30.0, help="seconds to wait for the last to settle (30)"
    )
    made.add_argument("--json", action="store_true", help="print JSON")
    system.add_options(made)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Generate the load and print what was measured; 1 if something was refused or left open, 2 if it cannot run."""
    options = parser().parse_args(argv)
    if options.rate <= 0 or options.seconds <= 0 or not 1 <= options.items <= options.products:
        print("--rate and --seconds must be positive, and --items from 1 to --products.", file=sys.stderr)
        return 2
    if not 0 <= options.bad_share < 1:
        print("--bad-share must be at least 0 and less than 1.", file=sys.stderr)
        return 2
    plan = Plan(
        options.rate,
        options.seconds,
        options.items,
        options.products,
        options.payment_method,
        options.keyed,
        options.bad_share,
    )
    try:
        where = system.find(options)
        measured = run(generate(where, plan, options.patience))
    except (aiohttp.ClientError, TimeoutError, NotStocked, StackError, KafkaException) as error:
        print(f"The system cannot be loaded: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    result = measured.result()
    print(as_json(result) if options.json else table(result))
    return 0 if result["answers"].keys() == {"202"} and not result["notSettled"] else 1


def run(work: Coroutine[Any, Any, T]) -> T:
    """On uvloop where it is there: the generator shares its machine with what it measures."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


if __name__ == "__main__":
    sys.exit(main())
