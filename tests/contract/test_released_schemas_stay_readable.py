"""The contracts hold: what was ever written can be read, and what was released does not change.

No broker. The golden bytes stand for the logs of years: they were written once and are never written again. All of it
holds for every schema package of ``services.toml``, and for the library's own.
"""

from __future__ import annotations

import importlib
import io
import struct
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import pytest
from fastavro.read import SchemaResolutionError

import schemas
from eventbus.codec import Codec
from eventbus.model.messages import Command, Event
from eventbus.schema_package import SchemaPackage
from schemas.upcasts import upcast
from tools.check_schemas import code_problems, file_problems
from tools.generate_messages import nested, outdated, snake
from tools.pin_schemas import encode, parsed
from tools.registry import SCHEMAS
from tools.schema_folders import Folder, SchemaFile, folders, latest

FOLDERS = folders()
CODEC = Codec(*(folder.name for folder in FOLDERS))
IDS = {folder.name: folder.load("ids") for folder in FOLDERS}
SHOP = {file.id: file for file in FOLDERS[0].files()}
GOLDEN = FOLDERS[0].load("golden")


class Pinned(NamedTuple):
    """A version of a message, the folder that it stands in, and the versions of the same message."""

    folder: Folder
    file: SchemaFile
    versions: tuple[SchemaFile, ...]


VERSIONS = [
    pytest.param(
        Pinned(folder, file, tuple(f for f in folder.files() if f.name == file.name)),
        id=f"{folder.name}:{file.id}",
    )
    for folder in FOLDERS
    for file in folder.files()
]
SAMPLES = [
    pytest.param(*version.values, sample, id=version.id)
    for version in VERSIONS
    for sample in version.values[0].folder.load("golden")[version.values[0].file.id]  # type: ignore[union-attr]
]

MONEY = {"amount", "totalAmount", "unitPrice"}
TIMES = {"timestamp", "deadlineAt"}


def decode(body: bytes, writer: SchemaFile, reader: SchemaFile | None = None) -> dict[str, Any]:
    """A record of an Avro body that must be read to its last byte."""
    stream = io.BytesIO(body)
    record = fastavro.schemaless_reader(stream, parsed(writer), parsed(reader) if reader else None)
    assert stream.read() == b""
    assert isinstance(record, dict)
    return record


def fields_of(file: SchemaFile) -> list[dict[str, Any]]:
    """All fields of a message, those of nested records included."""
    inner = [part for field in file.record["fields"] for part in nested(field["type"])]
    return [field for record in [file.record, *inner] for field in record["fields"]]


def value_of(folder: Folder, version: str, sample: Any) -> bytes:
    return struct.pack(">bI", 0, IDS[folder.name][version]) + bytes.fromhex(sample["hex"])


def test_the_gate_of_make_check_finds_nothing_wrong() -> None:
    assert file_problems(FOLDERS) == []
    assert list(code_problems(FOLDERS)) == []


def test_every_schema_package_of_the_registry_is_checked_and_the_library_s_own() -> None:
    assert [folder.name for folder in FOLDERS] == [*SCHEMAS, "eventbus.admin"]
    assert set(SCHEMAS) >= {"schemas", "examples.fraud"}
    for folder in FOLDERS:
        files = {file.id for file in folder.files()}
        assert files
        assert all(set(folder.load(name)) == files for name in ("ids", "released", "golden"))


@pytest.mark.parametrize(("version", "sample"), SAMPLES)
def test_golden_bytes_read_with_their_own_schema_give_the_record(version: Pinned, sample: Any) -> None:
    assert decode(bytes.fromhex(sample["hex"]), version.file) == sample["record"]


@pytest.mark.parametrize(("version", "sample"), SAMPLES)
def test_the_record_written_again_gives_the_same_bytes(version: Pinned, sample: Any) -> None:
    assert encode(version.file, sample["record"]).hex() == sample["hex"]


def as_seen_by(schema: Any, value: Any) -> Any:
    """``value`` with the fields of a reader's schema, in records within it as well; what is new has its default."""
    if isinstance(schema, list):
        return None if value is None else as_seen_by(next(kind for kind in schema if kind != "null"), value)
    if isinstance(schema, dict) and schema["type"] == "array":
        return [as_seen_by(schema["items"], item) for item in value]
    if isinstance(schema, dict) and schema["type"] == "record":
        return {
            field["name"]: as_seen_by(field["type"], value[field["name"]])
            if field["name"] in value
            else field.get("default")
            for field in schema["fields"]
        }
    return value


@pytest.mark.parametrize(("version", "sample"), SAMPLES)
def test_every_later_schema_reads_the_golden_bytes(version: Pinned, sample: Any) -> None:
    """What both versions know comes through unchanged; what the later one adds gets its default."""
    body, file = bytes.fromhex(sample["hex"]), version.file
    for reader in version.versions:
        if reader.version >= file.version or reader.version.major == file.version.major:
            assert decode(body, file, reader) == as_seen_by(reader.record, sample["record"])


@pytest.mark.parametrize(("version", "sample"), SAMPLES)
def test_golden_bytes_from_the_wire_become_the_latest_class(version: Pinned, sample: Any) -> None:
    folder, file, versions = version
    message = CODEC.decode_value(value_of(folder, file.id, sample))
    record = decode(bytes.fromhex(sample["hex"]), file, versions[-1])
    if file.version.major < versions[-1].version.major and folder.name == "schemas":
        record = upcast(file.name, file.version.major, record)
    assert CODEC.record_of(message) == record
    assert message.schema == versions[-1].id
    assert message.key == sample["record"][file.record["key"]]


@pytest.mark.parametrize("name", ["OrderCreated", "PaymentFailed", "InventoryFailed"])
def test_version_1_of_one_product_reads_as_one_item(name: str) -> None:
    sample = GOLDEN[f"{name}.v1"][0]
    message: Any = CODEC.decode_value(value_of(FOLDERS[0], f"{name}.v1", sample))
    old = sample["record"]
    assert message.items == (
        schemas.Item(product_id=old["productId"], quantity=old["quantity"], unit_price=0),
    )
    assert (message.product_id, message.quantity) == (old["productId"], old["quantity"])
    assert message.version == "1.0"
    assert message.contact is None


def test_upcasting_does_not_touch_the_record_it_is_given() -> None:
    record = {"productId": "85123A", "quantity": 6, "items": []}
    assert upcast("OrderCreated", 1, record)["items"] != []
    assert record == {"productId": "85123A", "quantity": 6, "items": []}


def test_the_first_three_ids_are_the_known_ones() -> None:
    ids = IDS["schemas"]
    assert (ids["OrderCreated.v1"], ids["PaymentFailed.v1"], ids["InventoryFailed.v1"]) == (1, 2, 3)


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        ("OrderCreated.v1", "orderId userId productId quantity timestamp version"),
        ("PaymentFailed.v1", "orderId userId productId quantity reason timestamp version"),
        ("InventoryFailed.v1", "orderId userId productId quantity availableQty reason timestamp version"),
    ],
)
def test_version_1_is_what_the_outside_world_knows(schema: str, names: str) -> None:
    assert " ".join(field["name"] for field in SHOP[schema].record["fields"]) == names
    assert GOLDEN[schema][0]["record"]["version"] == "1.0"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_body_that_names_its_version_names_the_right_one(version: Pinned) -> None:
    for field in version.file.record["fields"]:
        if field["name"] == "version":
            assert field["default"] == version.file.version.number


@pytest.mark.parametrize("version", VERSIONS)
def test_every_record_and_field_says_what_it_is(version: Pinned) -> None:
    file = version.file
    inner = [part for field in file.record["fields"] for part in nested(field["type"])]
    for part in [file.record, *inner, *fields_of(file)]:
        assert len(part.get("doc", "").split()) >= 2, f"{file.id}: {part['name']} has no doc"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_schema_names_its_topic_key_and_kind(version: Pinned) -> None:
    record = version.file.record
    kinds = {".commands": "command", ".events": "event", ".answers": "event"}
    assert kinds.get(Path(record["topic"]).suffix, "command") == record["kind"]
    key = {field["name"]: field for field in record["fields"]}[record["key"]]
    assert key["type"] == "string"
    cls = getattr(importlib.import_module(f"{version.folder.name}.messages"), version.file.name)
    assert issubclass(cls, Command if record["kind"] == "command" else Event)
    assert (cls.topic, cls.key_field) == (record["topic"], snake(record["key"]))


@pytest.mark.parametrize("version", VERSIONS)
def test_money_is_a_whole_number_of_minor_units_and_comes_with_its_currency(version: Pinned) -> None:
    names = {field["name"] for field in version.file.record["fields"]}
    for field in fields_of(version.file):
        types = field["type"] if isinstance(field["type"], list) else [field["type"]]
        assert not {"float", "double"} & {kind for kind in types if isinstance(kind, str)}
        if field["name"] in MONEY:
            assert field["type"] == "long"
            assert "minor units" in field["doc"]
    if names & (MONEY - {"unitPrice"}):
        assert "currency" in names


@pytest.mark.parametrize("version", VERSIONS)
def test_instants_are_timestamps_in_milliseconds(version: Pinned) -> None:
    for field in fields_of(version.file):
        if field["name"] in TIMES or "epoch" in field["doc"]:
            kind = field["type"][1] if isinstance(field["type"], list) else field["type"]
            assert kind == {"type": "long", "logicalType": "timestamp-millis"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_generated_code_is_up_to_date(folder: Folder) -> None:
    assert [path.name for path in outdated(folder.path)] == []
    assert {cls.schema for cls in SchemaPackage.load(folder.name).classes} == {
        file.id for file in latest(folder.files()).values()
    }


def test_a_version_1_reader_reads_an_order_of_one_item_right() -> None:
    one, _ = GOLDEN["OrderCreated.v2"]
    record = decode(bytes.fromhex(one["hex"]), SHOP["OrderCreated.v2"], SHOP["OrderCreated.v1"])
    known = ("orderId", "userId", "productId", "quantity", "timestamp", "version")
    assert record == {name: one["record"][name] for name in known}
    assert (record["productId"], record["quantity"]) == ("85123A", 6)


def test_a_version_1_reader_fails_clearly_on_an_order_of_many_items() -> None:
    _, many = GOLDEN["OrderCreated.v2"]
    assert len(many["record"]["items"]) > 1
    with pytest.raises(SchemaResolutionError, match="null"):
        decode(bytes.fromhex(many["hex"]), SHOP["OrderCreated.v2"], SHOP["OrderCreated.v1"])
