"""Cursors of pages: opaque to clients, the same on every replica, and refused where they do not belong."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from eventbus.http.problems import invalid
from eventbus.model.listing import FRONT, Place
from eventbus.model.places import LARGEST

T = TypeVar("T")

MAX_CURSOR = 600
"""Characters of a cursor. A key has at most 100, of four bytes each."""
CURSOR = rf"^[A-Za-z0-9_-]{{1,{MAX_CURSOR}}}$"
"""What a cursor looks like."""


def cursor_of(place: Place, chosen: Mapping[str, object]) -> str:
    """The cursor of the page behind a place, in the list of what is chosen."""
    body = json.dumps([place.at, place.key], separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(_sum(body, chosen) + body).decode().rstrip("=")


def place_of(cursor: str, chosen: Mapping[str, object]) -> Place:
    """The inverse. Raises Problem 422 for a cursor that was cut or changed, or belongs to another choice."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        body = raw[4:]
        if raw[:4] != _sum(body, chosen):
            raise ValueError("another sum")
        at, key = json.loads(body)
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise _wrong() from error
    if type(at) is not int or type(key) is not str or not -LARGEST <= at <= LARGEST:
        raise _wrong()
    return Place(at, key)


def page_of(
    found: Iterable[tuple[Place, T]],
    chosen: Mapping[str, object],
    limit: int,
    size: Callable[[T], int] = lambda _: 0,
    most: int = 0,
) -> tuple[list[T], str | None]:
    """Of what a list holds behind a place, the entries of one page, and the cursor of the next if there is one.

    ``limit``: entries on a page at most. ``size``: of an entry; a page ends before the sum of more than one exceeds
    ``most``. So ``found`` is to hold one entry more than ``limit``, if there is one.
    """
    page: list[T] = []
    total, last = 0, FRONT
    for place, entry in found:
        total += size(entry)
        if len(page) == limit or (page and total > most):
            return page, cursor_of(last, chosen)
        page.append(entry)
        last = place
    return page, None


def _sum(body: bytes, chosen: Mapping[str, object]) -> bytes:
    """Says that the cursor is whole and which list it belongs to. It is no secret: a cursor grants nothing."""
    named = json.dumps(sorted(chosen.items())).encode()
    return binascii.crc32(body, binascii.crc32(named)).to_bytes(4, "big")


def _wrong() -> Exception:
    return invalid([("cursor", "is not one that this list gave; begin again without it")])
