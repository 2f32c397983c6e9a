"""The components of the AsyncAPI document: every version of every message, with its headers, key and Avro schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.catalogue import headers
from tools.catalogue.contract import Contract, Release
from tools.catalogue.system import System

Json = dict[str, Any]
BINDING = "0.5.0"
AVRO = "application/vnd.apache.avro;version=1.9.0"
WAITING, DEAD_LETTER = "WaitingMessage", "DeadLetter"
REQUIRED = ("ce_specversion", "ce_id", "ce_type", "ce_source")
"""The attributes that CloudEvents requires."""


def components(system: System) -> Json:
    """The schemas of headers, and the messages by version."""
    mirrored = [release for mirror in system.mirrors for release in mirror.releases]
    messages = {
        str(release.version): _message(contract, release, [contract.written, contract.latest, *mirrored])
        for contract in system.contracts
        for release in contract.releases
    }
    return {
        "schemas": {
            "MessageHeaders": _headers(headers.of_messages(), REQUIRED),
            "WaitingHeaders": _headers(headers.of_waiting()),
            "DeadLetterHeaders": _headers(headers.of_letters()),
        },
        "correlationIds": {
            "request": {
                "description": headers.MESSAGE[headers.CORRELATION],
                "location": f"$message.header#/{headers.CORRELATION}",
            }
        },
        "messages": {
            **messages,
            WAITING: _copy(
                WAITING, "WaitingHeaders", "What waits for another try or a person: the last record counts."
            ),
            DEAD_LETTER: _copy(
                DEAD_LETTER, "DeadLetterHeaders", "A copy of a record that was not processed."
            ),
        },
    }


def _message(contract: Contract, release: Release, current: list[Release]) -> Json:
    """``current``: the versions that are written today, or will be."""
    version, key = str(release.version), str(release.schema["key"])
    about = next(field.get("doc", "") for field in release.schema["fields"] if field["name"] == key)
    older = {} if release in current else {"deprecated": True}
    return {
        "name": contract.name,
        "title": version,
        "summary": release.schema["doc"],
        **older,
        "contentType": "application/avro",
        "correlationId": {"$ref": "#/components/correlationIds/request"},
        "headers": {
            "allOf": [
                {"$ref": "#/components/schemas/MessageHeaders"},
                {"type": "object", "properties": {"ce_type": {"type": "string", "const": contract.name}}},
            ]
        },
        "payload": {"schemaFormat": AVRO, "schema": release.schema},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "minLength": 1, "title": key, "description": about},
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "schemaLookupStrategy": "RecordNameStrategy",
                "bindingVersion": BINDING,
            }
        },
        "tags": [{"name": contract.kind}],
        **({"examples": [{"payload": release.sample}]} if release.sample else {}),
        "x-schema-id": release.id,
        "x-schema-file": release.path,
    }


def _copy(name: str, schema: str, summary: str) -> Json:
    """A record of a topic for what fails: its value is what a message had, of whatever schema."""
    return {
        "name": name,
        "title": name,
        "summary": summary,
        "headers": {"$ref": f"#/components/schemas/{schema}"},
        "bindings": {
            "kafka": {
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "bindingVersion": BINDING,
            }
        },
    }


def _headers(words: Mapping[str, str], required: tuple[str, ...] = ()) -> Json:
    """Headers as a schema. Records of older code lack some, so only what CloudEvents requires is required."""
    properties = {
        name: {"type": "string", "description": text} | ({"deprecated": True} if name in headers.OLD else {})
        for name, text in words.items()
    }
    return {"type": "object", "required": list(required), "properties": properties}
