"""Converts the state of a key to what the store holds, and back."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from eventbus.model.decider import Decider, Table

S = TypeVar("S")
Row = Callable[[str, str], bytes | None]
"""The stored row of a table: its name and the row's key give the body, or None."""


def _plain(value: Any) -> str:
    """A message may hold a subclass of ``str``, and so may what is folded from it."""
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"{value!r:.100} cannot be stored as JSON")


to_json = msgspec.json.Encoder(enc_hook=_plain).encode
"""A value as JSON. A record becomes an object, with its fields in their order."""


class StateSerializer(Generic[S]):
    """Converts a state, a dataclass or a msgspec Struct, to JSON and back.

    A field that is a Table is stored apart, row by row.
    """

    def __init__(self, decider: Decider[S]) -> None:
        self.cls = type(decider.initial)
        names = field_names(self.cls)
        if names is None:
            raise TypeError(
                f"the state of {decider.log} is of type {self.cls.__name__}: make `initial` a frozen dataclass"
            )
        hints = typing.get_type_hints(self.cls)
        rows = {n: typing.get_args(hints[n])[0] for n in names if typing.get_origin(hints[n]) is Table}
        self._heads = [n for n in names if n not in rows]
        self._head: Callable[..., Any] = self.cls
        if rows:
            self._head = msgspec.defstruct("Head", [(n, hints[n]) for n in self._heads])
        try:
            self._decoder = _decoder(self._head)
            self._tables = {name: _decoder(row) for name, row in rows.items()}
        except TypeError as error:
            raise TypeError(
                f"the state of {decider.log} has a field that cannot be stored as JSON: {error}"
            ) from error

    @property
    def has_tables(self) -> bool:
        return bool(self._tables)

    def dump(self, state: S) -> bytes:
        """The state as JSON, without its tables."""
        if not self._tables:
            return to_json(state)
        return to_json(self._head(*[getattr(state, n) for n in self._heads]))

    def load(self, body: bytes, row: Row) -> S:
        """The inverse; the rows of its tables are loaded when they are asked for."""
        head = self._decoder.decode(body)
        return self.fresh(head, row) if self._tables else head

    def fresh(self, state: Any, row: Row) -> S:
        """The same state with its tables' changes forgotten, for they are stored now."""
        if not self._tables:
            return typing.cast(S, state)
        heads = {n: getattr(state, n) for n in self._heads}
        return self.cls(**heads, **{n: Table(None, self._loader(n, row)) for n in self._tables})

    def rows(self, state: S) -> Iterable[tuple[str, str, bytes]]:
        """The rows of its tables that were written: the name of the table, the key of the row, and its body."""
        for name in self._tables:
            for row, value in getattr(state, name).changes().items():
                yield name, row, to_json(value)

    def _loader(self, name: str, row: Row) -> Callable[[str], Any]:
        decoder = self._tables[name]

        def load(key: str) -> Any:
            body = row(name, key)
            return None if body is None else decoder.decode(body)

        return load


def field_names(cls: type[Any]) -> Sequence[str] | None:
    """The fields of a dataclass or a msgspec Struct; None for any other class."""
    if dataclasses.is_dataclass(cls):
        return [field.name for field in dataclasses.fields(cls)]
    return cls.__struct_fields__ if issubclass(cls, msgspec.Struct) else None


def _decoder(hint: Any) -> msgspec.json.Decoder[Any]:
    """What reads values of a type from JSON. Raises TypeError for a type that JSON cannot hold."""
    msgspec.json.schema(hint)  # a decoder of an unknown class would fail with its first value only
    return msgspec.json.Decoder(hint)
