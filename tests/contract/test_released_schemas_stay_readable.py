"""The contracts hold: what was ever written can be read, and what was released does not change.

No broker. The golden bytes stand for the logs of years: they were written once and are never written again.
"""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import fastavro
import pytest
from fastavro.read import SchemaResolutionError

import schemas
from eventbus.codec import Codec
from eventbus.model.messages import Command, Event
from eventbus.model.versions import Version
from schemas.upcasts import UPCASTS, upcast
from tools.avro_rules import conflicts
from tools.generate_messages import SchemaFile, latest, nested, outdated, schema_files, snake
from tools.pin_schemas import encode, fingerprint, load, parsed, pin

FILES = {file.id: file for file in schema_files()}
LATEST = latest(FILES.values())
IDS, RELEASED, GOLDEN = load("ids"), load("released"), load("golden")
SAMPLES = [pytest.param(FILES[id_], sample, id=id_) for id_ in GOLDEN for sample in GOLDEN[id_]]
SCHEMAS = [pytest.param(file, id=file.id) for file in FILES.values()]

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


def instance(name: str, record: dict[str, Any]) -> Any:
    """The message class filled from a record, without the codec that the services use."""
    values = {snake(key): value for key, value in record.items()}
    if "items" in values:
        lines = [{snake(key): value for key, value in item.items()} for item in values["items"]]
        values["items"] = tuple(schemas.Item(**line) for line in lines)
    if values.get("contact") is not None:
        values["contact"] = schemas.Contact(**values["contact"])
    return getattr(schemas, name)(**values)


@pytest.mark.parametrize(("file", "sample"), SAMPLES)
def test_golden_bytes_read_with_their_own_schema_give_the_record(file: SchemaFile, sample: Any) -> None:
    assert decode(bytes.fromhex(sample["hex"]), file) == sample["record"]


@pytest.mark.parametrize(("file", "sample"), SAMPLES)
def test_the_record_written_again_gives_the_same_bytes(file: SchemaFile, sample: Any) -> None:
    assert encode(file, sample["record"]).hex() == sample["hex"]


@pytest.mark.parametrize(("file", "sample"), SAMPLES)
def test_every_later_schema_reads_the_golden_bytes(file: SchemaFile, sample: Any) -> None:
    """What both versions know comes through unchanged; what the later one adds gets its default."""
    body = bytes.fromhex(sample["hex"])
    for reader in FILES.values():
        if reader.name == file.name and reader.version >= file.version:
            wanted = {
                field["name"]: sample["record"].get(field["name"], field.get("default"))
                for field in reader.record["fields"]
            }
            assert decode(body, file, reader) == wanted


@pytest.mark.parametrize(("file", "sample"), SAMPLES)
def test_golden_bytes_from_the_wire_become_the_latest_class(file: SchemaFile, sample: Any) -> None:
    body = bytes.fromhex(sample["hex"])
    value = b"\0" + struct.pack(">I", IDS[file.id]) + body
    record = upcast(file.name, file.version.major, decode(body, file, LATEST[file.name]))
    wanted = instance(file.name, record)
    assert Codec("schemas").decode_value(value) == wanted
    assert wanted.schema == LATEST[file.name].id
    assert wanted.key == sample["record"][file.record["key"]]


@pytest.mark.parametrize("name", ["OrderCreated", "PaymentFailed", "InventoryFailed"])
def test_version_1_of_one_product_reads_as_one_item(name: str) -> None:
    sample = GOLDEN[f"{name}.v1"][0]
    value = b"\0" + struct.pack(">I", IDS[f"{name}.v1"]) + bytes.fromhex(sample["hex"])
    message: Any = Codec("schemas").decode_value(value)
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


def test_only_versions_that_are_not_the_latest_are_upcast() -> None:
    for name, version in UPCASTS:
        assert f"{name}.v{version}" in FILES
        assert version < LATEST[name].version.major


@pytest.mark.parametrize("file", SCHEMAS)
def test_today_s_schema_can_read_whatever_this_version_may_hold(file: SchemaFile) -> None:
    for reader in FILES.values():
        if reader.name == file.name and reader.version >= file.version:
            assert conflicts(file.record, reader.record) == []


@pytest.mark.parametrize("file", SCHEMAS)
def test_a_released_version_is_what_it_was(file: SchemaFile) -> None:
    assert RELEASED[file.id] == fingerprint(file, IDS[file.id]), f"{file.id} was released: add a version"


def test_ids_released_and_golden_speak_of_the_same_versions_as_the_files() -> None:
    assert set(IDS) == set(RELEASED) == set(GOLDEN) == set(FILES)
    assert all(GOLDEN.values())


def test_ids_are_unique_and_the_first_three_are_the_known_ones() -> None:
    assert len(set(IDS.values())) == len(IDS)
    assert (IDS["OrderCreated.v1"], IDS["PaymentFailed.v1"], IDS["InventoryFailed.v1"]) == (1, 2, 3)


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        ("OrderCreated.v1", "orderId userId productId quantity timestamp version"),
        ("PaymentFailed.v1", "orderId userId productId quantity reason timestamp version"),
        ("InventoryFailed.v1", "orderId userId productId quantity availableQty reason timestamp version"),
    ],
)
def test_version_1_is_what_the_outside_world_knows(schema: str, names: str) -> None:
    assert " ".join(field["name"] for field in FILES[schema].record["fields"]) == names
    assert GOLDEN[schema][0]["record"]["version"] == "1.0"


@pytest.mark.parametrize("file", SCHEMAS)
def test_a_body_that_names_its_version_names_the_right_one(file: SchemaFile) -> None:
    for field in file.record["fields"]:
        if field["name"] == "version":
            assert field["default"] == file.version.number


@pytest.mark.parametrize("file", SCHEMAS)
def test_every_record_and_field_says_what_it_is(file: SchemaFile) -> None:
    inner = [part for field in file.record["fields"] for part in nested(field["type"])]
    for part in [file.record, *inner, *fields_of(file)]:
        assert len(part.get("doc", "").split()) >= 2, f"{file.id}: {part['name']} has no doc"


@pytest.mark.parametrize("file", SCHEMAS)
def test_a_schema_names_its_topic_key_and_kind(file: SchemaFile) -> None:
    record = file.record
    assert record["namespace"] == "orders"
    assert record["topic"].endswith(".commands") == (record["kind"] == "command")
    key = {field["name"]: field for field in record["fields"]}[record["key"]]
    assert key["type"] == "string"
    cls = getattr(schemas, file.name)
    assert issubclass(cls, Command if record["kind"] == "command" else Event)
    assert (cls.topic, cls.key_field) == (record["topic"], snake(record["key"]))


@pytest.mark.parametrize("file", SCHEMAS)
def test_money_is_a_whole_number_of_minor_units_and_comes_with_its_currency(file: SchemaFile) -> None:
    names = {field["name"] for field in file.record["fields"]}
    for field in fields_of(file):
        types = field["type"] if isinstance(field["type"], list) else [field["type"]]
        assert not {"float", "double"} & {kind for kind in types if isinstance(kind, str)}
        if field["name"] in MONEY:
            assert field["type"] == "long"
            assert "minor units" in field["doc"]
    if names & (MONEY - {"unitPrice"}):
        assert "currency" in names


@pytest.mark.parametrize("file", SCHEMAS)
def test_instants_are_timestamps_in_milliseconds(file: SchemaFile) -> None:
    for field in fields_of(file):
        if field["name"] in TIMES or "epoch" in field["doc"]:
            kind = field["type"][1] if isinstance(field["type"], list) else field["type"]
            assert kind == {"type": "long", "logicalType": "timestamp-millis"}


def test_the_generated_code_is_up_to_date() -> None:
    assert [path.name for path in outdated()] == []


def test_a_version_1_reader_reads_an_order_of_one_item_right() -> None:
    one, _ = GOLDEN["OrderCreated.v2"]
    record = decode(bytes.fromhex(one["hex"]), FILES["OrderCreated.v2"], FILES["OrderCreated.v1"])
    known = ("orderId", "userId", "productId", "quantity", "timestamp", "version")
    assert record == {name: one["record"][name] for name in known}
    assert (record["productId"], record["quantity"]) == ("85123A", 6)


def test_a_version_1_reader_fails_clearly_on_an_order_of_many_items() -> None:
    _, many = GOLDEN["OrderCreated.v2"]
    assert len(many["record"]["items"]) > 1
    with pytest.raises(SchemaResolutionError, match="null"):
        decode(bytes.fromhex(many["hex"]), FILES["OrderCreated.v2"], FILES["OrderCreated.v1"])


def test_pinning_refuses_a_version_that_cannot_read_the_ones_before(tmp_path: Any) -> None:
    record = json.loads(FILES["OrderCreated.v2"].path.read_text())
    record["fields"].append({"name": "region", "type": "string", "doc": "Where the customer lives."})
    broken = SchemaFile(tmp_path / "OrderCreated.v3.avsc", Version("OrderCreated", 3), record)
    ids, released, golden = dict(IDS), dict(RELEASED), dict(GOLDEN)
    with pytest.raises(
        ValueError, match=r"OrderCreated\.v3 cannot read OrderCreated\.v1: region: not written"
    ):
        pin([*FILES.values(), broken], ids, released, golden)
    assert "OrderCreated.v3" not in ids


def test_pinning_appends_and_changes_nothing_that_is_pinned(tmp_path: Any) -> None:
    record = json.loads(FILES["OrderCreated.v2"].path.read_text())
    region = {"name": "region", "type": "string", "default": "GB", "doc": "Where the customer lives."}
    record["fields"].append(region)
    third = SchemaFile(tmp_path / "OrderCreated.v3.avsc", Version("OrderCreated", 3), record)
    ids, released, golden = dict(IDS), dict(RELEASED), dict(GOLDEN)
    assert pin(list(FILES.values()), ids, released, golden) == []
    with pytest.raises(ValueError, match=r"no sample of OrderCreated\.v3"):
        pin([*FILES.values(), third], ids, released, golden)
    sample = {**GOLDEN["OrderCreated.v2"][0]["record"], "region": "FR"}
    golden["OrderCreated.v3"] = [{"record": sample}]
    assert len(pin([*FILES.values(), third], ids, released, golden)) == 3
    assert ids == {**IDS, "OrderCreated.v3": max(IDS.values()) + 1}
    assert {**RELEASED, "OrderCreated.v3": released["OrderCreated.v3"]} == released
    assert decode(bytes.fromhex(golden["OrderCreated.v3"][0]["hex"]), third) == sample
