"""``docs/reference/asyncapi.json``: AsyncAPI 3.1, Kafka binding 0.5.0, payloads in Avro.

JSON, since every YAML reader reads it, and none takes one of its texts for a number.
Source: AsyncAPI 3.1.0; "Kafka Bindings" 0.5.0; Confluent "Wire format".
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from typing import Any

from eventbus.kafka.topics import SKIPS, Topic
from eventbus.settings import Settings
from tools.asyncapi.messages import BINDING, DEAD_LETTER, WAITING, components
from tools.catalogue.contract import Contract
from tools.catalogue.system import V1_TOPICS, System, Wired
from tools.registry import ROOT
from tools.stack.settings import StackSettings

Json = dict[str, Any]
BESIDE = {"retry": WAITING, "dlq": DEAD_LETTER}
"""What the topics for what fails carry, by the end of their names."""
ABOUT = """\
All topics of the system, and what each service sends and receives. An operation names its service by its tag; the id
of the consumer group is the name of the service.

A value is `0x00`, the id of its schema in four bytes (big-endian), and the Avro body: the wire format of Confluent.
The id of each version is the `x-schema-id` of its message; where a registry gave another, `ce_dataschema` names the
version. Keys are UTF-8 and placed by murmur2. Read with
`isolation.level=read_committed`. `EVENTBUS_TOPIC_PREFIX` stands before each topic and group; `EVENTBUS_PARTITIONS`
says how many partitions the topics are made with."""


def text(system: System) -> str:
    """The document as it stands in its file."""
    return json.dumps(document(system), indent=1, ensure_ascii=False) + "\n"


def document(system: System) -> Json:
    """The document of a system."""
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Orders on Kafka",
            "version": _version(),
            "description": ABOUT,
            "license": {"name": "Apache-2.0"},
            "tags": [{"name": wired.name, "description": wired.purpose} for wired in system.services],
        },
        "defaultContentType": "application/avro",
        "servers": {
            "local": {
                "host": str(Settings.model_fields["bootstrap_servers"].default),
                "protocol": "kafka",
                "description": "What `make up` starts, and the schemas that `make registry` serves.",
                "bindings": {
                    "kafka": {
                        "schemaRegistryUrl": f"http://127.0.0.1:{StackSettings().registry_port}",
                        "schemaRegistryVendor": "confluent",
                        "bindingVersion": BINDING,
                    }
                },
            }
        },
        "channels": {name: _channel(system, topic) for name, topic in system.topics.items()},
        "operations": _operations(system),
        "components": components(system),
    }


def _version() -> str:
    project = tomllib.loads((ROOT / "libs" / "eventbus" / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


def _channel(system: System, topic: Topic) -> Json:
    messages = _every_version(system.carried(topic.name))
    messages += [
        str(r.version) for mirror in system.mirrors if mirror.name == topic.name for r in mirror.releases
    ]
    messages += [name for kind, name in BESIDE.items() if topic.name.endswith(f".{kind}")]
    return {
        "address": topic.name,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"kafka": _topic(topic)},
    }


def _topic(topic: Topic) -> Json:
    """The binding of a topic that is made here; nothing is known of the others."""
    if not topic.config:
        return {"topic": topic.name, "bindingVersion": BINDING}
    numbers = {name: int(value) for name, value in topic.config.items() if name != "cleanup.policy"}
    return {
        "topic": topic.name,
        "partitions": topic.partitions or Settings.model_fields["partitions"].default,
        "topicConfiguration": {"cleanup.policy": [topic.config.get("cleanup.policy", "delete")], **numbers},
        "bindingVersion": BINDING,
    }


def _operations(system: System) -> Json:
    found: Json = {}
    for wired in system.services:
        deciders = wired.service.deciders
        taken = {cls for decider in deciders for cls in decider.inputs}
        sent = {cls for part in (wired.service.sends, *(d.sends for d in deciders)) for cls in part}
        logs = {decider.log for decider in deciders}
        for topic in system.flow:
            carried = system.carried(topic.name)
            if received := [c for c in carried if c.cls in taken]:
                found |= _operation(wired, "receive", topic.name, _every_version(received), grouped=True)
            if written := [c for c in carried if c.cls in sent or topic.name in logs]:
                found |= _operation(wired, "send", topic.name, [str(c.written.version) for c in written])
        for mirror in system.mirrors:
            if mirror.service == wired.name:
                versions = [str(release.version) for release in mirror.releases]
                found |= _operation(wired, "send", mirror.name, versions, only=f" with {V1_TOPICS}=1")
        found |= _beside(system, wired)
    return found


def _beside(system: System, wired: Wired) -> Json:
    """What a service does with the topics for what fails. Only its commands come through the group."""
    admin, skips = system.carried(f"{wired.name}.admin"), system.carried(SKIPS.name)
    found = _operation(wired, "receive", f"{wired.name}.admin", _every_version(admin), grouped=True)
    found |= _operation(wired, "send", f"{wired.name}.retry", [WAITING])
    watched = [topic for topic in wired.service.watches if topic in system.topics]
    for retry in (f"{wired.name}.retry", *watched):
        found |= _operation(wired, "receive", retry, [WAITING])
    found |= _operation(wired, "send", f"{wired.name}.dlq", [DEAD_LETTER])
    return found | _operation(wired, "receive", SKIPS.name, _every_version(skips))


def _every_version(contracts: Iterable[Contract]) -> list[str]:
    return [str(release.version) for contract in contracts for release in contract.releases]


def _operation(
    wired: Wired, action: str, topic: str, messages: Iterable[str], *, grouped: bool = False, only: str = ""
) -> Json:
    operation: Json = {
        "action": action,
        "summary": f"{wired.name} {'reads' if action == 'receive' else 'writes to'} {topic}{only}",
        "channel": {"$ref": f"#/channels/{topic}"},
        "messages": [{"$ref": f"#/channels/{topic}/messages/{name}"} for name in messages],
        "tags": [{"name": wired.name}],
    }
    if grouped:
        group = {"type": "string", "const": wired.name}
        operation["bindings"] = {"kafka": {"groupId": group, "bindingVersion": BINDING}}
    return {f"{wired.name}.{action}.{topic}": operation}
