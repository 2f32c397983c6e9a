"""A program of another team that knows version 1 of three events and nothing else: plain fastavro, no code of ours.

It is kept as it is. What it can read must stay readable to it, and what it cannot represent it must refuse.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import fastavro

Record = dict[str, Any]


def _schema(name: str, **fields: Any) -> Record:
    return {
        "type": "record",
        "name": name,
        "namespace": "orders",
        "fields": [{"name": field, "type": kind} for field, kind in fields.items()],
    }


_ORDER = {"orderId": "string", "userId": "string", "productId": "string", "quantity": "int"}
_END = {"timestamp": {"type": "long", "logicalType": "timestamp-millis"}, "version": "string"}
SCHEMAS = {
    1: _schema("OrderCreated", **_ORDER, **_END),
    2: _schema("PaymentFailed", **_ORDER, reason="string", **_END),
    3: _schema("InventoryFailed", **_ORDER, availableQty="int", reason="string", **_END),
}
"""By the id that stands in each value."""
BY_NAME = {schema["name"]: (schema_id, schema) for schema_id, schema in SCHEMAS.items()}


class Unreadable(Exception):
    """The program cannot read the value."""


@dataclass(frozen=True)
class OldReader:
    """Reads values. ``registry``: schemas of other ids, as a registry of schemas would give them."""

    registry: Mapping[int, Record] = field(default_factory=dict)

    def read(self, value: bytes) -> Record:
        """The event in a value, as version 1 has it. Raises Unreadable."""
        (schema_id,) = struct.unpack(">I", value[1:5])
        writer = SCHEMAS.get(schema_id) or self.registry.get(schema_id)
        if value[0] != 0 or writer is None:
            raise Unreadable(f"schema id {schema_id} is unknown")
        _, reader = BY_NAME[writer["name"]]
        body = io.BytesIO(value[5:])
        try:
            record = fastavro.schemaless_reader(body, writer, reader)
        except fastavro.read.SchemaResolutionError as error:
            raise Unreadable(str(error)) from error
        if body.read() or not isinstance(record, dict):
            raise Unreadable("bytes are left over")
        return record


def old_value(name: str, **record: Any) -> bytes:
    """An event as an old program writes it: version 1, id and body."""
    schema_id, schema = BY_NAME[name]
    out = io.BytesIO()
    out.write(b"\0" + struct.pack(">I", schema_id))
    fastavro.schemaless_writer(out, schema, {"version": "1.0", **record})
    return out.getvalue()
