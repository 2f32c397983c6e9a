"""``python -m bench.peers.quix.hop``: the stateful hop of ``bench.baskets`` as a Quix Streams application.

The topics carry bytes, and fastavro reads and writes them: faster than the library's deserializer with a registry.
"""

from __future__ import annotations

import time
from typing import Any

from quixstreams import Application, State

from bench.bare.baskets import FILL, FILLED, FOLDER
from bench.bare.record import AvroCodec
from bench.peers import arguments


def main() -> None:
    """Run until SIGTERM."""
    options = arguments.read("bench.peers.quix.hop")
    app = Application(
        broker_address=options.servers,
        consumer_group=options.group,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        state_dir=options.state,
        producer_extra_config={"compression.type": "lz4"},
        loglevel="WARNING",
    )
    fill, filled = AvroCodec(FILL, FOLDER), AvroCodec(FILLED, FOLDER)

    def add(value: bytes, state: State) -> bytes:
        command: dict[str, Any] = fill.decode(value)
        lines = command["lines"]
        pieces, amount = state.get("total", (0, 0))
        pieces += sum(line["quantity"] for line in lines)
        amount += sum(line["quantity"] * line["unitPrice"] for line in lines)
        state.set("total", (pieces, amount))
        return filled.encode(
            {**command, "pieces": pieces, "amount": amount, "timestamp": int(time.time() * 1000)}
        )

    source = app.topic(options.source, value_deserializer="bytes", key_deserializer="bytes")
    target = app.topic(options.target, value_serializer="bytes", key_serializer="bytes")
    app.dataframe(source).apply(add, stateful=True).to_topic(target)
    app.run()


if __name__ == "__main__":
    main()
