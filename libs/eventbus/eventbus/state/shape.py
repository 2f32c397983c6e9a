"""The shape of what is stored of a log: rows of one shape are never read as another.

The rules of a fold are not part of it: their version is ``Decider.fold_version``.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import re
import types
import typing
from typing import Any

import msgspec

from eventbus.model.decider import Decider
from eventbus.state.listing import tables_of

_LAYOUT = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")|(?:--[^\n]*|/\*.*?\*/|\s)+""", re.DOTALL)
"""A quoted text, which is kept, or comments and white space, which are not."""


def shape_of(decider: Decider[Any]) -> list[str]:
    """The state's fields with their types, at any depth, and the DDL of its projection and its listing.

    Names of classes, the order of fields, defaults, comments and the layout of the DDL are left out: rows that
    were written under others read the same.
    """
    ddl = _LAYOUT.sub(lambda found: found[1] or " ", ddl_of(decider)).strip()
    return [type_text(type(decider.initial)), ddl]


def ddl_of(decider: Decider[Any]) -> str:
    """The statements that make the tables of the decider's projection and of its listing, with ``;`` between."""
    parts = [decider.projection.tables] if decider.projection else []
    parts += [tables_of(decider.listing)] if decider.listing else []
    return ";".join(parts)


def type_text(hint: Any, inside: tuple[Any, ...] = ()) -> str:
    """A type as a text that is the same in every process. ``inside``: the classes whose fields lead to it."""
    if hint in inside:
        return f"^{len(inside) - inside.index(hint)}"  # a class that holds itself
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return f"literal({_values(arguments)})"
    if origin in (typing.Union, types.UnionType):
        return " | ".join(sorted(type_text(one, inside) for one in arguments))
    if origin is not None:
        texts = ["..." if one is ... else type_text(one, inside) for one in arguments]
        return f"{type_text(origin, inside)}[{', '.join(texts)}]"
    if isinstance(hint, typing.NewType):
        return type_text(hint.__supertype__, inside)
    if not isinstance(hint, type):
        return str(hint)
    if issubclass(hint, enum.Enum):
        return f"enum({_values(one.value for one in hint)})"
    return _fields(hint, inside) or hint.__name__


def _fields(cls: type[Any], inside: tuple[Any, ...]) -> str | None:
    """The fields of a class by their names in JSON; of a named tuple, which is stored by position, in their order."""
    hints = typing.get_type_hints(cls)
    if issubclass(cls, msgspec.Struct):
        stored = dict(zip(cls.__struct_encode_fields__, cls.__struct_fields__, strict=True))
        hints = {name: hints[field] for name, field in stored.items()}
        names = sorted(hints)
    elif dataclasses.is_dataclass(cls):
        names = sorted(field.name for field in dataclasses.fields(cls))
    else:
        names = list(getattr(cls, "_fields", sorted(getattr(cls, "__annotations__", ()))))
        if not names:
            return None
    text = ", ".join(f"{name}: {type_text(hints[name], (*inside, cls))}" for name in names)
    return f"({text})" if issubclass(cls, tuple) else f"{{{text}}}"


def _values(values: Any) -> str:
    return ", ".join(sorted(json.dumps(value, default=str) for value in values))
