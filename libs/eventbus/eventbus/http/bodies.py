"""JSON bodies: which media types are read, and how much a body may hold before anybody looks at it.

The size of a body says little of what it costs: a megabyte may be 350,000 objects. So what could become a value is
counted first, in the bytes; and what is counted is bounded before any error is made of it.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.requests import Request

from eventbus.http.problem_types import MALFORMED_JSON, UNSUPPORTED_MEDIA_TYPE
from eventbus.http.problems import Problem, field_errors, invalid

M = TypeVar("M", bound=BaseModel)

JSON = "application/json"
MAX_VALUES = 50_000
"""Commas, colons, braces and brackets a body may have. Those within its texts count too, as bytes are counted."""
MAX_FIELDS = 100
"""Fields one object may have: far more than any has here, and few enough to name those that are unknown."""
MAX_DIGITS = 1_000
"""Of a number. To turn a longer one into text, as an error does, takes time that grows with its square."""


async def read_body(request: Request) -> bytes:
    """The body of a route that takes JSON. Raises Problem 415 if there is one of another media type.

    ``application/json`` and ``application/*+json`` are JSON, with any parameters but a charset that is not UTF-8. A
    body must say what it is: a web page can post anything else to any site, this one included, without asking.
    """
    raw = await request.body()
    if raw and (wrong := _unreadable(request.headers)):
        raise Problem(UNSUPPORTED_MEDIA_TYPE, wrong, headers={"Accept": "application/json"})
    return raw


def _unreadable(headers: Headers) -> str | None:
    types, encodings = headers.getlist("content-type"), headers.getlist("content-encoding")
    if types == [JSON] and not encodings:
        return None
    if any(encoding.strip().lower() not in ("", "identity") for encoding in encodings):
        return "the body must not be compressed (Content-Encoding)"
    if len(types) != 1:
        return "the body needs one Content-Type: application/json"
    kind, *parameters = types[0].lower().split(";")
    name = kind.strip()
    if name != JSON and not (name.startswith("application/") and name.endswith("+json")):
        return f"the body must be application/json, not {name[:100]!r}"
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8", "us-ascii"):
            return "JSON is UTF-8: leave the charset out"
    return None


def validated(model: type[M], data: Any, within: tuple[int | str, ...] = ()) -> M:
    """``data`` as ``model``. Raises Problem 422 that names each wrong field; ``within``: where ``data`` stands."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise invalid(validation_errors(error, within)) from error


def validation_errors(error: ValidationError, within: tuple[int | str, ...] = ()) -> list[tuple[str, str]]:
    """Each wrong field and what is wrong with it, for :func:`invalid`."""
    return field_errors(error.errors(include_url=False, include_context=False, include_input=False), within)


def parse_json(raw: bytes, max_values: int = MAX_VALUES) -> Any:
    """JSON, its decimals exact. Raises Problem: 400 if it is none, 422 if it holds too much, or a field twice.

    NaN and Infinity pass, to be refused with their field's name.
    """
    if sum(raw.count(mark) for mark in b"{[,:") > max_values:
        raise invalid([("body", f"has more than {max_values} values")])
    try:
        return _DECODER.decode(raw.decode("utf-8-sig"))
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Problem(MALFORMED_JSON, f"The body is not JSON: {_reason(error)}.") from error


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ArithmeticError("too long")
    return int(text)


def _decimal(text: str) -> Decimal:
    if len(text) > MAX_DIGITS:
        raise ArithmeticError("too long")
    return Decimal(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_FIELDS:
        raise invalid([("body", f"has an object with more than {MAX_FIELDS} fields")])
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise invalid([(name, "must be given once") for name in fields if names.count(name) > 1])
    return fields


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_decimal, object_pairs_hook=_object)


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return str(error)
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return f"a number has more than {MAX_DIGITS} digits, or too large an exponent"
