"""The AsyncAPI document passes the official parser, and a document that is wrong does not."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tools.asyncapi import validator
from tools.registry import ROOT

FILE = ROOT / "docs" / "reference" / "asyncapi.json"
ABSENT = validator.missing()
pytestmark = pytest.mark.skipif(
    bool(ABSENT) and "CI" not in os.environ,
    reason=f"{' and '.join(ABSENT)} not found: install Node.js 20 or newer to validate docs/reference/asyncapi.json",
)

Json = dict[str, Any]


def message(document: Json) -> Json:
    found: Json = document["components"]["messages"]["NotificationSent.v1"]
    return found


def binding(document: Json) -> Json:
    found: Json = document["channels"]["notification.events"]["bindings"]["kafka"]
    return found


def sent(document: Json) -> Json:
    found: Json = document["operations"]["notification.send.notification.events"]["messages"][0]
    return found


WRONG: dict[str, tuple[Callable[[Json], object], str]] = {
    "an Avro type that does not exist": (
        lambda d: message(d)["payload"]["schema"]["fields"][0].update(type="strin"),
        "strin",
    ),
    "an Avro default of another type": (
        lambda d: message(d)["payload"]["schema"]["fields"][0].update(type="int", default="none"),
        "default",
    ),
    "a place of the schema id that Kafka's binding does not know": (
        lambda d: message(d)["bindings"]["kafka"].update(schemaIdLocation="body"),
        "schemaIdLocation",
    ),
    "partitions that are no number": (lambda d: binding(d).update(partitions="six"), "partitions"),
    "a retention that is no number": (
        lambda d: binding(d)["topicConfiguration"].update({"retention.ms": "-1"}),
        "retention.ms",
    ),
    "a message that is not there": (
        lambda d: sent(d).update({"$ref": "#/channels/notification.events/messages/Nothing.v1"}),
        "does not exist",
    ),
    "a message of another channel": (
        lambda d: sent(d).update({"$ref": "#/channels/order.commands/messages/CancelOrder.v1"}),
        "does not belong to the specified channel",
    ),
    "an action that is none": (
        lambda d: d["operations"]["notification.send.notification.events"].update(action="publish"),
        "action",
    ),
}


def small(document: Json) -> Json:
    """The document with two channels and one operation, so that many are checked in little time."""
    part = copy.deepcopy(document)
    kept = {"notification.events": part["channels"]["notification.events"]}
    kept["order.commands"] = part["channels"]["order.commands"]
    part["channels"] = kept
    part["operations"] = {
        name: found
        for name, found in part["operations"].items()
        if name == "notification.send.notification.events"
    }
    named = {name for channel in kept.values() for name in channel["messages"]}
    part["components"]["messages"] = {
        name: found for name, found in part["components"]["messages"].items() if name in named
    }
    return part


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What is wrong with each document, by what was changed in it. One process checks them all."""
    folder, document = tmp_path_factory.mktemp("asyncapi"), json.loads(FILE.read_text())
    documents: dict[str, Path] = {"the document": FILE}
    changed: dict[str, Callable[[Json], object]] = {name: change for name, (change, _) in WRONG.items()}
    for number, (name, change) in enumerate({"a part of it": lambda d: None, **changed}.items()):
        part = small(document)
        change(part)
        documents[name] = folder / f"{number}.json"
        documents[name].write_text(json.dumps(part))
    problems = validator.problems(list(documents.values()))
    return {name: problems[path] for name, path in documents.items()}


def test_the_document_is_valid(found: dict[str, list[str]]) -> None:
    assert found["the document"] == []
    assert found["a part of it"] == []


@pytest.mark.parametrize("name", WRONG)
def test_a_document_that_is_wrong_is_refused_with_the_place(name: str, found: dict[str, list[str]]) -> None:
    reason = WRONG[name][1]
    assert any(reason in line for line in found[name]), found[name]
