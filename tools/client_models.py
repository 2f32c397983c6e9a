"""``python -m tools.client_models`` writes what the Python client takes and gives, from the OpenAPI documents.

``--check`` says whether it is out of date. Each object with a name in a document is a ``TypedDict`` of that name.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.openapi import Document, documents

FILE = Path(__file__).resolve().parents[1] / "clients" / "python" / "orders_client" / "models.py"
HEAD = '''"""What the services take and give. Written by `make reference` from their OpenAPI documents."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict
'''
FEW = 20
"""Values of an enumeration that are worth their place in the code; of more, such as currencies, the type is said."""
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def text() -> str:
    """The module. Raises ValueError if two services give one name to two things."""
    found: dict[str, Document] = {}
    for service, document in documents().items():
        for name, schema in sorted(named_objects(without_names_of_values(document))):
            if found.setdefault(name, schema) != schema:
                raise ValueError(f"{name} of {service} is another thing in another service: rename one")
    return HEAD + "".join(typed_dict(name, schema) for name, schema in sorted(found.items()))


def without_names_of_values(document: Document) -> Document:
    """The document with enumerations in place of references to them: two services may have a ``Status`` each."""
    components = document["components"]["schemas"]

    def replaced(node: Any) -> Any:
        if isinstance(node, list):
            return [replaced(one) for one in node]
        if not isinstance(node, dict):
            return node
        name = str(node.get("$ref", "")).rsplit("/", 1)[-1]
        if "enum" in components.get(name, {}):
            return components[name]
        return {key: replaced(value) for key, value in node.items()}

    return {key: replaced(value) for key, value in document.items()}


def named_objects(document: Document) -> Iterator[tuple[str, Document]]:
    """The objects that have a name: components, and what stands in the bodies of requests."""
    for name, schema in document["components"]["schemas"].items():
        if "properties" in schema:
            yield name, schema
    for operations in document["paths"].values():
        for operation in operations.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield from _titled(content["schema"])


def _titled(node: Any) -> Iterator[tuple[str, Document]]:
    if isinstance(node, list):
        for one in node:
            yield from _titled(one)
    elif isinstance(node, dict):
        if "properties" in node and "title" in node:
            yield node["title"], node
        for name, one in node.items():
            if name not in ("if", "then"):
                yield from _titled(one)


def typed_dict(name: str, schema: Document) -> str:
    """One class. Fields that may be missing are ``NotRequired``."""
    required = schema.get("required", ())
    lines = [f"\n\nclass {name}(TypedDict):"]
    if description := schema.get("description", "").replace("``", "`"):
        whole = textwrap.wrap(" ".join(f'"""{description}"""'.split()), 104)
        lines += [f"    {line}" for line in whole]
        if schema["properties"]:
            lines.append("")
    for field, value in schema["properties"].items():
        kind = type_of(value)
        lines.append(f"    {field}: {kind if field in required else f'NotRequired[{kind}]'}")
    return "\n".join(lines) + "\n"


def type_of(schema: Document) -> str:
    """The type of a field, as Python writes it."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[1]
    if choices := schema.get("anyOf", schema.get("oneOf")):
        return " | ".join(dict.fromkeys(type_of(one) for one in choices))
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if 0 < len(values) <= FEW:
        return f"Literal[{', '.join(map(_quoted, values))}]"
    kind = schema.get("type")
    if kind == "array":
        return f"list[{type_of(schema.get('items', {}))}]"
    if kind == "object" or "properties" in schema:
        return schema["title"] if "properties" in schema and "title" in schema else "dict[str, Any]"
    return PLAIN.get(str(kind), "Any")


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def main(arguments: list[str]) -> int:
    """Write the module, or with ``--check`` compare it; 1 if it is out of date."""
    written = text()
    if arguments == ["--check"]:
        if not FILE.exists() or FILE.read_text() != written:
            print(
                f"{FILE.name} of the client is not what OpenAPI says: run `make reference`", file=sys.stderr
            )
            return 1
        return 0
    FILE.write_text(written)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
