"""``python -m bench.bare.read``: reads a topic from its first record to its last, and decodes every value.

It prints one JSON object: ``records``, and the ``seconds`` and ``cpu`` seconds that they took after the first batch.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from confluent_kafka import KafkaException, TopicPartition

from bench.bare.clients import reader
from bench.bare.record import SCHEMAS, AvroCodec

BATCH = 1000


def codecs(folder: Path, topic: str) -> dict[bytes, AvroCodec]:
    """What reads each schema of a topic, by the first bytes of a value."""
    names = [f"{topic}/{path.stem}" for path in (folder / topic).glob("*.avsc")]
    return {codec.head: codec for codec in (AvroCodec(name, folder) for name in names)}


def main() -> None:
    """Read what is there. Raises KafkaException, and KeyError for a schema that is not of the topic."""
    parser = argparse.ArgumentParser(prog="python -m bench.bare.read", description=__doc__)
    parser.add_argument("--servers", required=True, help="Kafka")
    parser.add_argument("--prefix", default="", help="before the topic's name")
    parser.add_argument("--topic", required=True, help="the topic, named as its folder of schemas")
    parser.add_argument("--schemas", type=Path, default=SCHEMAS, help="folder of the schemas")
    options = parser.parse_args()
    known, consumer, topic = (
        codecs(options.schemas, options.topic),
        reader(options.servers),
        options.prefix + options.topic,
    )
    count = len(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
    places = [TopicPartition(topic, number, 0) for number in range(count)]
    left = sum(consumer.get_watermark_offsets(place, timeout=10)[1] for place in places)
    consumer.assign(places)
    records, began, used = 0, 0.0, 0.0
    while left:
        for record in consumer.consume(min(BATCH, left), 1.0):
            if error := record.error():
                raise KafkaException(error)
            value = record.value()
            assert value is not None
            known[value[:5]].decode(value)
            left -= 1
            records += bool(began)
        began, used = began or time.monotonic(), used or time.process_time()
    seconds, cpu = time.monotonic() - began, time.process_time() - used
    consumer.close()
    print(json.dumps({"records": records, "seconds": seconds, "cpu": cpu}))


if __name__ == "__main__":
    main()
