"""Converts the state of a key to what the store holds, and back."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from eventbus.model.decider import Decider, Table

S = TypeVar("S")
Row = Callable[[str, str], bytes | None]
"""The stored row of a table: its name and the row's key give the body, or None."""


class StateSerializer(Generic[S]):
    """Converts a state dataclass to JSON and back. Fields that are a Table are stored apart, row by row."""

    def __init__(self, decider: Decider[S]) -> None:
        self.cls = type(decider.initial)
        if not dataclasses.is_dataclass(self.cls):
            raise TypeError(
                f"the state of {decider.log} is of type {self.cls.__name__}: make `initial` a frozen dataclass"
            )
        hints = typing.get_type_hints(self.cls)
        names = [f.name for f in dataclasses.fields(typing.cast(Any, self.cls))]
        self.tables = {n: _row_type(hints[n]) for n in names if typing.get_origin(hints[n]) is Table}
        self.heads = [n for n in names if n not in self.tables]
        typed_dict: Any = TypedDict
        self._adapter: TypeAdapter[Any] = TypeAdapter(typed_dict("Head", {n: hints[n] for n in self.heads}))
        self._rows = {n: TypeAdapter(row) for n, row in self.tables.items()}

    def dump(self, state: S) -> bytes:
        return self._adapter.dump_json({n: getattr(state, n) for n in self.heads})

    def load(self, body: bytes, row: Row) -> S:
        tables = {n: Table(None, self._loader(n, row)) for n in self.tables}
        return self.cls(**self._adapter.validate_json(body), **tables)

    def fresh(self, state: S, row: Row) -> S:
        """The same state with its tables' changes forgotten, for they are stored now."""
        if not self.tables:
            return state
        tables = {n: Table(None, self._loader(n, row)) for n in self.tables}
        renewed: S = dataclasses.replace(typing.cast(Any, state), **tables)
        return renewed

    def rows(self, state: S) -> Iterable[tuple[str, str, bytes]]:
        for name, adapter in self._rows.items():
            for row, value in getattr(state, name).changes().items():
                yield name, row, adapter.dump_json(value)

    def _loader(self, name: str, row: Row) -> Callable[[str], Any]:
        adapter = self._rows[name]

        def load(key: str) -> Any:
            body = row(name, key)
            return None if body is None else adapter.validate_json(body)

        return load


def _row_type(hint: Any) -> Any:
    return typing.get_args(hint)[0]
