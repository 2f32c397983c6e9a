"""``python -m bench.peers.faust.hop``: the stateful hop of ``bench.baskets`` as a Faust agent."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import faust

from bench.bare.baskets import FILL, FILLED, FOLDER
from bench.bare.record import AvroCodec
from bench.peers import arguments

PARTITIONS = 3


def app_for(options: argparse.Namespace) -> faust.App:
    """An application whose agent adds up baskets in a table with a changelog."""
    app = faust.App(
        options.group,
        broker=f"kafka://{options.servers}",
        processing_guarantee="exactly_once",
        store="memory://",
        key_serializer="raw",
        value_serializer="raw",
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        topic_disable_leader=True,
        web_enabled=False,
        stream_wait_empty=False,
        datadir=options.state,
    )
    fill, filled = AvroCodec(FILL, FOLDER), AvroCodec(FILLED, FOLDER)
    source = app.topic(options.source, value_type=bytes, key_type=bytes)
    target = app.topic(options.target, value_type=bytes, key_type=bytes)
    totals = app.Table("totals", partitions=PARTITIONS)

    async def add(stream: Any) -> None:
        async for key, value in stream.items():
            command = fill.decode(value)
            basket, lines = command["basketId"], command["lines"]
            pieces, amount = totals.get(basket) or (0, 0)
            pieces += sum(line["quantity"] for line in lines)
            amount += sum(line["quantity"] * line["unitPrice"] for line in lines)
            totals[basket] = [pieces, amount]
            event = {**command, "pieces": pieces, "amount": amount, "timestamp": int(time.time() * 1000)}
            await target.send(key=key, value=filled.encode(event))

    app.agent(source)(add)
    return app


def main() -> None:
    """Run until SIGTERM."""
    options = arguments.read("bench.peers.faust.hop")
    app = app_for(options)
    sys.argv[1:] = ["worker", "-l", "warn"]
    app.main()


if __name__ == "__main__":
    main()
