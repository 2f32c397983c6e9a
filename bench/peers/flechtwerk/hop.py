"""``python -m bench.peers.flechtwerk.hop``: the stateful hop of ``bench.baskets`` as a Flechtwerk transformer.

It reads and writes JSON, the only form of a value that it decodes itself.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable

import uvloop
from flechtwerk import Event, Flechtwerk, IncomingMessage, Message, State, Transformer
from flechtwerk.attribute import INT, Attribute

from bench.peers import arguments

PIECES, AMOUNT = Attribute("pieces", INT), Attribute("amount", INT)


def adding(target: str) -> Callable[[IncomingMessage, State], AsyncIterator[Message | State]]:
    """Add to the totals of a record's basket."""

    async def add(record: IncomingMessage, state: State) -> AsyncIterator[Message | State]:
        assert record.value is not None
        command = record.value.raw
        lines = command["lines"]
        pieces = (state.get(PIECES) or 0) + sum(line["quantity"] for line in lines)
        amount = (state.get(AMOUNT) or 0) + sum(line["quantity"] * line["unitPrice"] for line in lines)
        event = {**command, "pieces": pieces, "amount": amount, "timestamp": int(time.time() * 1000)}
        yield Message(key=record.key, topic=target, value=Event.wrap(event))
        yield State({PIECES: pieces, AMOUNT: amount})

    return add


def main() -> None:
    """Run until SIGTERM."""
    options = arguments.read("bench.peers.flechtwerk.hop")
    hop = Flechtwerk.of(
        application_id=options.group,
        bootstrap_servers=options.servers,
        client_id=f"{options.group}-0",
        compression_type="lz4",
        stage=Transformer.of(input_topics=[options.source], transform=adding(options.target)),
    )
    uvloop.run(hop.run())


if __name__ == "__main__":
    main()
