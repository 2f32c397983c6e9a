"""The record that bare programs read and write: an order of one item, in Avro, as this project's schemas have it."""

from __future__ import annotations

import json
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
CREATED = "order.events/OrderCreated.v2.1"
COMMAND = "order.commands/CreateOrder.v1.1"


def plain(schema: Any) -> Any:
    """A schema without logical types: fastavro would make a datetime of each time it reads, which costs."""
    if isinstance(schema, dict):
        return {name: plain(part) for name, part in schema.items() if name != "logicalType"}
    return [plain(part) for part in schema] if isinstance(schema, list) else schema


class AvroCodec:
    """One schema of this repository, in the Confluent wire format: a zero byte, the schema's id, the body."""

    def __init__(self, name: str, folder: Path = SCHEMAS) -> None:
        number = json.loads((folder / "ids.json").read_text())[name.split("/")[1]]
        self._schema = parse_schema(plain(json.loads((folder / f"{name}.avsc").read_text())))
        self.head = struct.pack(">bI", 0, number)

    def encode(self, record: dict[str, Any]) -> bytes:
        """The record's bytes."""
        out = BytesIO()
        out.write(self.head)
        schemaless_writer(out, self._schema, record)
        return out.getvalue()

    def decode(self, value: bytes) -> dict[str, Any]:
        """The record. Raises ValueError if the bytes are of another schema."""
        if not value.startswith(self.head):
            raise ValueError(f"not of the expected schema: {value[:5]!r}")
        body = BytesIO(value)
        body.seek(len(self.head))
        found = schemaless_reader(body, self._schema, None)
        assert isinstance(found, dict)
        return found


def created(order_id: str) -> dict[str, Any]:
    """An order of one item, as the order service records it."""
    return {
        "orderId": order_id,
        "userId": "load-1",
        "productId": "load-001",
        "quantity": 1,
        "timestamp": 1_790_000_000_000,
        "version": "2.0",
        "items": [{"productId": "load-001", "quantity": 1, "unitPrice": 100}],
        "currency": "GBP",
        "totalAmount": 100,
        "paymentMethod": "tok_ok",
        "contact": None,
        "deadlineAt": 1_790_000_900_000,
        "fingerprint": "0" * 64,
    }
