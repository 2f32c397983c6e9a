"""A schema package that is not complete says what is missing, where, and what to do."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventbus.codec import Codec


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The schema package ``pings``, of one message in two versions; forgotten after the test."""
    folder = tmp_path / "pings"
    (folder / "ping.events").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "messages.py").write_text(
        "from dataclasses import dataclass\n"
        "from eventbus.model.messages import Event, message\n"
        '@message(topic="ping.events", key="ping_id", schema="Ping.v2")\n'
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Ping(Event):\n"
        "    ping_id: str\n"
    )
    schema = {"type": "record", "name": "Ping", "fields": [{"name": "pingId", "type": "string"}]}
    for version in (1, 2):
        (folder / "ping.events" / f"Ping.v{version}.avsc").write_text(json.dumps(schema))
    (folder / "ids.json").write_text('{"Ping.v1": 900001, "Ping.v2": 900002}')
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in ("pings", "pings.messages"):
        sys.modules.pop(name, None)


def test_a_complete_package_is_read(package: Path) -> None:
    Codec("pings")


def test_a_version_without_an_id_is_named_with_its_class_its_file_and_the_remedy(package: Path) -> None:
    (package / "ids.json").write_text('{"Ping.v1": 900001}')

    with pytest.raises(
        ValueError, match=r"no id for Ping\.v2, the schema of pings\.messages\.Ping: add"
    ) as raised:
        Codec("pings")

    assert str(package / "ids.json") in str(raised.value)


def test_an_id_without_its_schema_file_is_named_with_the_file_and_the_remedy(package: Path) -> None:
    (package / "ping.events" / "Ping.v1.avsc").unlink()

    with pytest.raises(ValueError, match=r"names Ping\.v1, but <topic>/Ping\.v1\.avsc is missing.*restore"):
        Codec("pings")


def test_a_schema_that_stands_twice_is_named_with_both_places(package: Path) -> None:
    (package / "pong.events").mkdir()
    shutil.copy(package / "ping.events" / "Ping.v1.avsc", package / "pong.events")

    with pytest.raises(ValueError, match=r"ping\.events/Ping\.v1\.avsc, .*pong\.events/Ping\.v1\.avsc"):
        Codec("pings")


def test_a_package_without_messages_or_ids_is_named(package: Path) -> None:
    (package / "ids.json").unlink()
    with pytest.raises(ValueError, match=r"pings/ids\.json is missing"):
        Codec("pings")
    with pytest.raises(ValueError, match="nowhere is no schema package"):
        Codec("nowhere")


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        ('{"Ping.v1": 900001, "Ping.v2": 900001}', r"the id 900001 of Ping\.v2 is taken by Ping\.v1"),
        ('{"Ping.v1": 9001, "Ping.v2": 900002}', r"the id 9001 of Redrive\.v1 is taken by Ping\.v1"),
        ('{"Ping.v1": 900001, "Ping.v1": 900002}', "'Ping.v1' stands there more than once"),
        ('{"Ping.v1": "1", "Ping.v2": 900002}', r"the id of Ping\.v1 is '1': give a number"),
        ('{"Ping.v1": true, "Ping.v2": 900002}', r"the id of Ping\.v1 is True: give a number"),
        ('{"Ping.v1": 4294967296, "Ping.v2": 900002}', r"the id of Ping\.v1 is 4294967296: give a number"),
        ('{"Ping": 900001, "Ping.v2": 900002}', "'Ping' is no version of a message"),
        ('{"Ping.v2": ', r"ids\.json cannot be read"),
        ("[]", r"ids\.json is no JSON object"),
    ],
)
def test_ids_that_are_none_or_given_twice_are_named(package: Path, ids: str, reason: str) -> None:
    (package / "ids.json").write_text(ids)
    with pytest.raises(ValueError, match=reason):
        Codec("pings")


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("{", r"Ping\.v1\.avsc cannot be read"),
        ("[]", r"Ping\.v1\.avsc is no JSON object"),
        (
            '{"type": "record", "name": "Ping", "fields": [{"name": "a", "type": "text"}]}',
            r"Ping\.v1 is no Avro",
        ),
        (
            '{"type": "record", "name": "Ping", "fields": [{"name": "a", "type": "int", "default": "x"}]}',
            r"Ping\.v1 is no Avro schema: .*Default value <x> must match",
        ),
        ('{"type": "record", "name": "Ping"}', r"Ping\.v1 is no Avro schema"),
    ],
)
def test_an_invalid_schema_file_is_named(package: Path, schema: str, reason: str) -> None:
    (package / "ping.events" / "Ping.v1.avsc").write_text(schema)
    with pytest.raises(ValueError, match=reason):
        Codec("pings")
