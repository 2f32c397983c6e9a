"""The AsyncAPI document holds the topics as they are made, the schemas as they stand in their files, and what each
service declares to read and to write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from eventbus import Message, Service
from eventbus.admin import Discard, Redrive
from tools import registry, wiring
from tools.registry import ROOT, SERVICES
from tools.stack.settings import StackSettings

DOCUMENT = json.loads((ROOT / "docs" / "reference" / "asyncapi.json").read_text())
MESSAGES = DOCUMENT["components"]["messages"]
FOLDERS = [ROOT.joinpath(*name.split(".")) for name in (*registry.SCHEMAS, "libs.eventbus.eventbus.admin")]
FILES = sorted(path for folder in FOLDERS for path in folder.glob("*/*.avsc"))
SHARED = ("WaitingMessage", "DeadLetter")


def at(pointer: str) -> Any:
    """What a reference inside the document leads to."""
    found = DOCUMENT
    for word in pointer.removeprefix("#/").split("/"):
        found = found[word]
    return found


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inside in value.items():
            if name == "$ref":
                yield inside
            else:
                yield from references(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from references(inside)


def operation(service: str, action: str, topic: str) -> tuple[set[str], str | None]:
    """The messages of an operation, without their versions, and its consumer group."""
    found = DOCUMENT["operations"].get(f"{service}.{action}.{topic}")
    if found is None:
        return set(), None
    assert (found["action"], found["tags"]) == (action, [{"name": service}])
    assert at(found["channel"]["$ref"])["address"] == topic
    group = found.get("bindings", {}).get("kafka", {}).get("groupId", {}).get("const")
    return {reference["$ref"].rsplit("/", 1)[1].partition(".v")[0] for reference in found["messages"]}, group


def names(classes: Any, topic: str) -> set[str]:
    return {cls.name for cls in classes if cls.topic == topic}


def wired(name: str) -> Service:
    [package] = [entry.package for entry in SERVICES if entry.name == name]
    service: Service = import_module(f"{package}.__main__").service()
    return service


def test_every_reference_leads_somewhere() -> None:
    found = list(references(DOCUMENT))
    assert all(at(reference) for reference in found) and len(found) > 100


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.stem))
def test_a_message_holds_the_schema_of_its_file_and_its_id(path: Path) -> None:
    message, schema = MESSAGES[path.stem], json.loads(path.read_text())
    assert message["payload"] == {
        "schemaFormat": "application/vnd.apache.avro;version=1.9.0",
        "schema": schema,
    }
    assert message["x-schema-id"] == json.loads((path.parents[1] / "ids.json").read_text())[path.stem]
    assert (message["name"], message["tags"]) == (schema["name"], [{"name": schema["kind"]}])
    binding = message["bindings"]["kafka"]
    assert (binding["schemaIdLocation"], binding["schemaIdPayloadEncoding"]) == ("payload", "confluent")
    assert binding["schemaLookupStrategy"] == "RecordNameStrategy", "a subject is the full name of a record"
    assert binding["key"]["title"] == schema["key"]


def test_there_is_no_message_without_a_file() -> None:
    assert set(MESSAGES) == {path.stem for path in FILES} | set(SHARED)


def test_every_topic_is_a_channel_with_the_configuration_that_it_is_made_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EVENTBUS_V1_TOPICS", "1")
    made = {topic.name: topic for topic in wiring.topics(SERVICES)}
    assert set(DOCUMENT["channels"]) == set(made)
    for name, topic in made.items():
        channel = DOCUMENT["channels"][name]
        binding = channel["bindings"]["kafka"]
        shown = {
            key: value for key, value in binding["topicConfiguration"].items() if key != "cleanup.policy"
        }
        wanted = {key: int(value) for key, value in topic.config.items() if key != "cleanup.policy"}
        assert shown == wanted
        assert binding["topicConfiguration"]["cleanup.policy"] == [
            topic.config.get("cleanup.policy", "delete")
        ]
        assert (channel["address"], binding["topic"], binding["bindingVersion"]) == (name, name, "0.5.0")
        assert binding["partitions"] == (1 if name == "eventbus.skips" else 3)


@pytest.mark.parametrize(
    "service", [wired(entry.name) for entry in SERVICES], ids=lambda service: service.name
)
def test_operations_are_what_the_service_declares(service: Service) -> None:
    inputs = {cls for decider in service.deciders for cls in decider.inputs}
    sends = {*service.sends, *(cls for decider in service.deciders for cls in decider.sends)}
    logs = {decider.log for decider in service.deciders}
    for topic in (
        name for name in DOCUMENT["channels"] if name.rsplit(".", 1)[1] not in ("retry", "dlq", "admin")
    ):
        if topic == "eventbus.skips" or topic.endswith(".v1"):
            continue
        own = (
            {name.partition(".v")[0] for name in DOCUMENT["channels"][topic]["messages"]}
            if topic in logs
            else set()
        )
        taken = names(inputs, topic)
        assert operation(service.name, "receive", topic) == (taken, service.name if taken else None)
        assert operation(service.name, "send", topic) == (own | names(sends, topic), None)


@pytest.mark.parametrize("name", [entry.name for entry in SERVICES])
def test_what_fails_has_its_topics_and_only_commands_of_operators_come_through_the_group(name: str) -> None:
    def by_name(*classes: type[Message]) -> set[str]:
        return {cls.name for cls in classes}

    assert operation(name, "receive", f"{name}.admin") == (by_name(Redrive, Discard), name)
    assert operation(name, "send", f"{name}.retry") == ({"WaitingMessage"}, None)
    assert operation(name, "receive", f"{name}.retry") == ({"WaitingMessage"}, None)
    assert operation(name, "send", f"{name}.dlq") == ({"DeadLetter"}, None)
    assert operation(name, "receive", "eventbus.skips") == ({"Skip"}, None)


def test_a_service_shows_what_waits_in_the_topics_that_it_watches() -> None:
    for retry in wired("order").watches:
        assert operation("order", "receive", retry) == ({"WaitingMessage"}, None)


@pytest.mark.parametrize("name", ["OrderCreated", "PaymentFailed", "InventoryFailed"])
def test_older_versions_are_read_and_not_written_but_to_the_topics_of_version_1(name: str) -> None:
    topic = MESSAGES[f"{name}.v2"]["payload"]["schema"]["topic"]
    carried = DOCUMENT["channels"][topic]["messages"]
    assert {f"{name}.v1", f"{name}.v2"} <= set(carried)
    for key, found in DOCUMENT["operations"].items():
        versions = {r["$ref"].rsplit("/", 1)[1] for r in found["messages"]} & {f"{name}.v1", f"{name}.v2"}
        if not versions:
            continue
        if key.endswith(f".send.{topic}"):
            assert versions == {f"{name}.v2"}
        elif key.endswith(f".send.{topic}.v1"):
            assert versions == {f"{name}.v1"} and found["summary"].endswith("with EVENTBUS_V1_TOPICS=1")
        else:
            assert found["action"] == "receive" and versions == {f"{name}.v1", f"{name}.v2"}


def test_the_registry_is_where_the_local_stack_serves_it() -> None:
    binding = DOCUMENT["servers"]["local"]["bindings"]["kafka"]
    assert binding["schemaRegistryUrl"] == f"http://127.0.0.1:{StackSettings().registry_port}"


def test_the_headers_are_those_of_cloudevents_and_name_each_type() -> None:
    schema = DOCUMENT["components"]["schemas"]["MessageHeaders"]
    assert set(schema["required"]) == {"ce_specversion", "ce_id", "ce_type", "ce_source"}
    extensions = {"ce_correlationid", "ce_causationid", "ce_cause", "ce_keyversion", "traceparent"}
    assert extensions < set(schema["properties"])
    for name, message in MESSAGES.items():
        if name not in SHARED:
            [base, own] = message["headers"]["allOf"]
            assert at(base["$ref"]) == schema
            assert own["properties"]["ce_type"]["const"] == message["name"]
