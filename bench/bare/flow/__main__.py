"""``python -m bench.bare.flow order|payment|inventory|notification``: that service, until SIGTERM.

What fails ends the process: a bare service recovers from nothing.
"""

from __future__ import annotations

import argparse
import gc
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.bare.clients import as_batch_work, group_consumer, transactional_producer
from bench.bare.flow.inventory import Inventory
from bench.bare.flow.notification import Notification
from bench.bare.flow.order import Order
from bench.bare.flow.payment import Payment
from bench.bare.flow.records import SERVICES
from bench.bare.flow.service import Service
from bench.bare.hop import Ends, batch_of, commit

MANY = 500
"""Records after which there is no rest."""


def service(name: str, folder: Path, gateway: str) -> Service:
    """The service of that name, with its rows in a folder."""
    match name:
        case "order":
            return Order(folder)
        case "payment":
            return Payment(folder, gateway)
        case "inventory":
            return Inventory(folder)
        case _:
            return Notification(folder)


def serve(name: str, one: Service, servers: str, prefix: str) -> None:
    """Read, decide, write and keep, batch by batch."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    gc.freeze()
    gc.set_threshold(100_000)  # garbage is looked for as seldom as in this project's services
    producer, consumer = (
        transactional_producer(servers, prefix + name),
        group_consumer(servers, prefix + name),
    )
    producer.init_transactions()
    consumer.subscribe([prefix + topic for topic in one.reads])
    while not stopped:
        batch = batch_of(consumer, 0.5)
        if not batch:
            continue
        ends: Ends = {}
        producer.begin_transaction()
        for output in one.decide(batch):
            producer.produce(prefix + output.topic, output.value, output.key, headers=output.headers)
        for record in batch:
            offset = record.offset()
            assert offset is not None
            ends[record.topic(), record.partition()] = offset + 1
        commit(consumer, producer, ends)
        one.keep()
        if len(batch) < MANY:
            time.sleep(one.rest)
    consumer.close()
    one.close()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m bench.bare.flow")
    parser.add_argument("service", choices=SERVICES)
    parser.add_argument("--servers", required=True, help="Kafka")
    parser.add_argument("--prefix", required=True, help="before the topics' names")
    parser.add_argument("--gateway", required=True, help="URL of the payment gateway")
    options = parser.parse_args()
    as_batch_work()
    with TemporaryDirectory(prefix=f"flow-{options.service}-") as folder:
        bare = service(options.service, Path(folder), options.gateway)
        serve(options.service, bare, options.servers, options.prefix)


if __name__ == "__main__":
    main()
