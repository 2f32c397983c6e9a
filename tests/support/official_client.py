"""The official client of schema registries, in an environment of its own: it has none of our code and packages.

``run`` starts this file there. Then it reads a topic to its end with AvroDeserializer, one JSON object a line, or
sends one message with AvroSerializer.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements-registry-client.txt"


def read(cache: Path, servers: str, registry: str, topic: str) -> list[dict[str, Any]]:
    """All records of a topic as the client reads them: ``key``, ``type`` and ``record``."""
    return [json.loads(line) for line in run(cache, "read", servers, registry, topic).splitlines()]


def send(cache: Path, servers: str, registry: str, topic: str, subject: str, record: dict[str, Any]) -> None:
    """Send one message, without any header, under the id that the registry has for it."""
    run(cache, "send", servers, registry, topic, subject, json.dumps(record))


def run(cache: Path, *arguments: str) -> str:
    done = subprocess.run(
        [str(_python(cache)), "-I", __file__, *arguments], capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return done.stdout


def _python(cache: Path) -> Path:
    """The interpreter of the environment, which is made once for each content of the lock file."""
    home = cache / f"registry-client-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    if not home.is_dir():
        draft = home.with_name(f"{home.name}.{os.getpid()}")
        venv.create(draft, with_pip=True)
        pip = [
            str(draft / "bin" / "python"),
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "--quiet",
        ]
        subprocess.run([*pip, "--require-hashes", "-r", str(LOCK)], check=True, timeout=300)
        if home.is_dir():
            shutil.rmtree(draft)
        else:
            draft.rename(home)
    return home / "bin" / "python"


def _registry(url: str) -> Any:
    from confluent_kafka.schema_registry import SchemaRegistryClient

    return SchemaRegistryClient({"url": url})


def _read(servers: str, registry: str, topic: str) -> None:
    from confluent_kafka import Consumer, TopicPartition
    from confluent_kafka.schema_registry import record_subject_name_strategy
    from confluent_kafka.schema_registry.avro import AvroDeserializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "official-client",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    # Its usual strategy first asks for "associations": Apicurio knows no such path, and sometimes never answers.
    strategy = {"subject.name.strategy": record_subject_name_strategy}
    deserialize, ended = AvroDeserializer(_registry(registry), conf=strategy), set[int | None]()
    while len(ended) < len(partitions):
        record = consumer.poll(20)
        assert record is not None, "no record and no end of a partition within 20 s"
        if record.error():
            ended.add(record.partition())
            continue
        key, headers = record.key(), dict[str, Any](record.headers() or [])
        line = {
            "key": str(key, "utf-8") if isinstance(key, bytes) else key,
            "type": headers["ce_type"].decode(),
            "record": deserialize(record.value(), SerializationContext(topic, MessageField.VALUE)),
        }
        print(json.dumps(line, default=str))


def _send(servers: str, registry: str, topic: str, subject: str, text: str) -> None:
    from confluent_kafka import Producer
    from confluent_kafka.schema_registry import record_subject_name_strategy
    from confluent_kafka.schema_registry.avro import AvroSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    client, record = _registry(registry), json.loads(text)
    serialize = AvroSerializer(
        client,
        client.get_latest_version(subject).schema.schema_str,
        conf={
            "auto.register.schemas": False,
            "use.latest.version": True,
            "subject.name.strategy": record_subject_name_strategy,
        },
    )
    producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random"})
    value = serialize(record, SerializationContext(topic, MessageField.VALUE))
    producer.produce(topic, key=record["orderId"], value=value)
    assert producer.flush(20) == 0


if __name__ == "__main__":
    COMMANDS: dict[str, Callable[..., None]] = {"read": _read, "send": _send}
    COMMANDS[sys.argv[1]](*sys.argv[2:])
