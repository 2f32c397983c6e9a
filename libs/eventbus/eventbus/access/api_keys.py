"""API keys: a file with one JSON object a line, which names the SHA-256 of each key and never the key.

    {"id": "shop", "sha256": "<64 hex digits>", "scopes": ["place", "read"]}
    {"id": "app", "sha256": "…", "scopes": ["read"], "userId": "u1", "expires": "2027-01-31T00:00:00Z"}

With ``userId`` the caller acts for this customer only. Two lines may have one id, if they say the same of it: so one
key of a caller replaces another without a gap. Everything else that is not as described is refused: a misspelt
``userId`` must not give a customer the orders of all.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from eventbus.access.caller import Caller, Scope

PREFIX = "ebk_"
"""What keys made here begin with: scanners for leaked secrets know them by it."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FIELDS = ("id", "sha256", "scopes", "userId", "expires")


class BrokenFile(Exception):
    """A file cannot be used. The message says which line, what is wrong with it, and what to write."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One line of the file. ``digest``: SHA-256 of the key. ``expires``: seconds since epoch, or None."""

    digest: bytes
    caller: Caller
    expires: float | None


Keys = Mapping[bytes, ApiKey]
"""By digest."""


def find_key(keys: Keys, token: str, now: float) -> Caller | None:
    """Whose key it is; None if it is nobody's, or no longer valid at ``now`` (seconds since epoch).

    The time this takes says nothing of any key: what is looked up, and then compared in constant time, is a hash that
    nobody can choose.
    """
    digest = hashlib.sha256(token.encode()).digest()
    found = keys.get(digest)
    if found is None or not hmac.compare_digest(found.digest, digest):
        return None
    return found.caller if found.expires is None or now < found.expires else None


def parse_keys(content: bytes) -> Keys:
    """The keys of a file. Raises BrokenFile. Lines without text are passed over; a file may hold no key."""
    keys: dict[bytes, ApiKey] = {}
    lines: dict[bytes, int] = {}
    callers: dict[str, tuple[int, Caller]] = {}
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            key = _parse_line(line)
        except (ValueError, RecursionError) as error:
            raise BrokenFile(f"line {number}: {error}") from error
        if key.digest in keys:
            raise BrokenFile(
                f"line {number}: line {lines[key.digest]} has the same sha256: each key stands once"
            )
        first, caller = callers.setdefault(key.caller.id, (number, key.caller))
        if caller != key.caller:
            raise BrokenFile(
                f"line {number}: line {first} says something else of the same id: give this line another id, "
                "or the same scopes and userId"
            )
        keys[key.digest], lines[key.digest] = key, number
    return keys


def new_key(key_id: str, scopes: list[str], user_id: str | None, expires: str | None) -> tuple[str, str]:
    """A key with 256 random bits, and the line for it. Raises BrokenFile for what no line may say."""
    key = PREFIX + secrets.token_urlsafe(32)
    fields: dict[str, Any] = {
        "id": key_id,
        "sha256": hashlib.sha256(key.encode()).hexdigest(),
        "scopes": scopes,
        **({} if user_id is None else {"userId": user_id}),
        **({} if expires is None else {"expires": expires}),
    }
    line = json.dumps(fields)
    parse_keys(line.encode())
    return key, line


def _parse_line(line: bytes) -> ApiKey:
    """Raises ValueError."""
    fields = json.loads(line.decode(), object_pairs_hook=_object)
    if not isinstance(fields, dict):
        raise ValueError("expected a JSON object")
    if unknown := sorted(set(fields) - set(_FIELDS)):
        raise ValueError(f"unknown field {unknown[0]!r}: the fields are {', '.join(_FIELDS)}")
    key_id = _text(fields, "id", _ID, "1 to 100 letters, digits and . _ @ -, of ASCII")
    digest = _text(fields, "sha256", _SHA256, "64 small hex digits")
    caller = Caller(f"key:{key_id}", "api_key", _scopes(fields.get("scopes")), _user(fields))
    return ApiKey(bytes.fromhex(digest), caller, _expires(fields))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a field stands twice")
    return fields


def _text(fields: dict[str, Any], name: str, pattern: re.Pattern[str], expected: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{name}: expected {expected}")
    return value


def _scopes(value: Any) -> frozenset[Scope]:
    known = [scope.value for scope in Scope]
    if not isinstance(value, list) or not value or any(one not in known for one in value):
        raise ValueError(f"scopes: expected a list with some of {', '.join(known)}")
    return frozenset(Scope(one) for one in value)


def _user(fields: dict[str, Any]) -> str | None:
    if "userId" not in fields:
        return None
    user = fields["userId"]
    if not is_user_id(user):
        raise ValueError(
            "userId: expected 1 to 100 readable characters; leave it out if there is no such user"
        )
    return str(user)


def is_user_id(value: Any) -> bool:
    """Whether an order may have this userId."""
    return isinstance(value, str) and 0 < len(value) <= 100 and value.isprintable() and bool(value.strip())


def _expires(fields: dict[str, Any]) -> float | None:
    if "expires" not in fields:
        return None
    try:
        time = datetime.fromisoformat(fields["expires"])
    except (TypeError, ValueError):
        time = None
    if time is None or time.tzinfo is None:
        raise ValueError("expires: expected a time with its offset, such as 2027-01-31T00:00:00Z")
    return time.timestamp()
