"""Answers that say what is wrong: ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi.responses import JSONResponse

from eventbus.http.problem_types import INVALID_REQUEST, ProblemType

PROBLEM = "application/problem+json"
MAX_ERRORS = 20
"""Errors one answer lists: enough to mend a request, too few to make an answer larger than its request."""


class Problem(Exception):
    """An answer that says what is wrong: its type, what is wrong this time, any further members, and headers.

    A member ``title`` or ``status`` takes the place of that of the type.
    """

    def __init__(
        self, kind: ProblemType, detail: str = "", *, headers: dict[str, str] | None = None, **members: Any
    ) -> None:
        self.type, self.detail, self.headers = kind, detail, headers or {}
        self.body = kind.body(detail, **members)
        self.status: int = self.body["status"]
        super().__init__(f"{self.body['title']}: {detail}" if detail else self.body["title"])

    def response(self) -> JSONResponse:
        """The answer, as ``application/problem+json``."""
        return JSONResponse(self.body, self.status, self.headers, media_type=PROBLEM)


def invalid(errors: Iterable[tuple[str, str]], kind: ProblemType = INVALID_REQUEST) -> Problem:
    """422: the request was understood but is wrong. An error: its field, as ``items[0].quantity``, and a message."""
    listed = [
        {"field": printable(field), "message": printable(message)}
        for (field, message), _ in zip(errors, range(MAX_ERRORS), strict=False)
    ]
    first = listed[0]
    return Problem(kind, f"{first['field']}: {first['message']}", errors=listed)


def field_errors(
    errors: Iterable[Mapping[str, Any]], within: tuple[int | str, ...] = ()
) -> list[tuple[str, str]]:
    """pydantic's errors for :func:`invalid`; ``within``: where in the body the model stands."""
    return [(field_path(within + e["loc"]), e["msg"].removeprefix("Value error, ")) for e in errors]


def field_path(location: Iterable[int | str]) -> str:
    """pydantic's location as a reader writes it: ``("items", 0, "quantity")`` is ``items[0].quantity``."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path or "body"


def printable(text: str) -> str:
    """``text``, cut, without lone surrogates, which JSON can spell but UTF-8 cannot."""
    return text[:300].encode("utf-8", "backslashreplace").decode()


def one_line(text: str) -> str:
    """``text``, if it is readable and of one line; raises ValueError. For pydantic, of what becomes a topic's key."""
    if not text.strip():
        raise ValueError("must not be empty")
    if not text.isprintable():
        raise ValueError("must not have control characters")
    return text
