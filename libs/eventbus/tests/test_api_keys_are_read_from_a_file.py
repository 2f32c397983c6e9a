"""A file of API keys says who may do what. What it says wrongly is refused, with the line."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.access import Caller, Scope
from eventbus.access.api_keys import BrokenFile, find_key, new_key, parse_keys

KEY = "ebk_secret"
SHA256 = hashlib.sha256(KEY.encode()).hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


def line(**fields: Any) -> str:
    return json.dumps({"id": "shop", "sha256": SHA256, "scopes": ["read"], **fields})


def file(*lines: str) -> bytes:
    return "\n".join(lines).encode()


def test_a_key_is_known_by_its_hash() -> None:
    keys = parse_keys(file(line(scopes=["place", "read"], userId="u1")))
    assert find_key(keys, KEY, now=0) == Caller(
        "key:shop", "api_key", frozenset({Scope.PLACE, Scope.READ}), "u1"
    )
    assert find_key(keys, KEY + "x", now=0) is None
    assert find_key(keys, SHA256, now=0) is None
    assert find_key(keys, "", now=0) is None


def test_a_key_ends_when_its_line_says() -> None:
    keys = parse_keys(file(line(expires="1970-01-01T00:01:00Z")))
    assert find_key(keys, KEY, now=59.9)
    assert find_key(keys, KEY, now=60.0) is None


def test_lines_without_text_and_a_file_without_keys_are_fine() -> None:
    assert len(parse_keys(file("", line(), "  ", ""))) == 1
    assert not parse_keys(b"")


def test_two_keys_of_one_caller_are_valid_at_once() -> None:
    keys = parse_keys(file(line(), line(sha256=OTHER, expires="2030-01-01T00:00:00+01:00")))
    assert find_key(keys, KEY, now=0) == find_key(keys, "other", now=0)


WRONG = {
    "no JSON": "{",
    "not UTF-8": b'{"id": "\xff"}',
    "a list": "[]",
    "a number": "7",
    "nested too deeply": "[" * 100_000,
    "no id": json.dumps({"sha256": SHA256, "scopes": ["read"]}),
    "an id with a space": line(id="a b"),
    "an id of another alphabet": line(id="shöp"),
    "an id that looks alike": line(id="ѕhop"),
    "an id with a line break": line(id="shop\n"),
    "a colon in an id": line(id="key:shop"),
    "an empty id": line(id=""),
    "a long id": line(id="x" * 101),
    "an id that is a number": line(id=7),
    "no hash": json.dumps({"id": "shop", "scopes": ["read"]}),
    "the key itself": line(sha256=KEY),
    "a short hash": line(sha256=SHA256[:-1]),
    "a hash in capitals": line(sha256=SHA256.upper()),
    "a hash with a line break": line(sha256=SHA256 + "\n"),
    "no scopes": line(scopes=[]),
    "scopes as a text": line(scopes="place read"),
    "an unknown scope": line(scopes=["root"]),
    "a scope in capitals": line(scopes=["READ"]),
    "a scope that is a list": line(scopes=[["read"]]),
    "a scope that is null": line(scopes=[None]),
    "scopes as an object": line(scopes={"read": True}),
    "a user that is null": line(userId=None),
    "an empty user": line(userId=""),
    "a blank user": line(userId=" "),
    "a user that is a number": line(userId=1),
    "a user that is a list": line(userId=["u1"]),
    "a user with a line break": line(userId="u1\n"),
    "a user of half a character": line(userId="\ud800"),
    "a misspelt user": line(userID="u1"),
    "a time without offset": line(expires="2030-01-01T00:00:00"),
    "no time": line(expires="soon"),
    "a time that is a number": line(expires=1_900_000_000),
    "a time that is null": line(expires=None),
    "a field twice": line(userId="u1").replace("{", '{"userId": "u2", '),
    "another field": line(admin=True),
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_wrong_line_is_refused_by_its_number(text: str | bytes) -> None:
    good = line(id="good", sha256=OTHER).encode()
    wrong = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    with pytest.raises(BrokenFile, match=r"^line 3: "):
        parse_keys(b"\n".join([good, b"", wrong]))


def test_a_hash_stands_once() -> None:
    with pytest.raises(BrokenFile, match="line 2: line 1 has the same sha256"):
        parse_keys(file(line(), line(id="other")))


@pytest.mark.parametrize("change", [{"userId": "u2"}, {"scopes": ["admin"]}])
def test_one_id_is_one_caller(change: dict[str, Any]) -> None:
    with pytest.raises(BrokenFile, match="line 2: line 1 says something else of the same id"):
        parse_keys(file(line(), line(sha256=OTHER, **change)))


def test_an_error_does_not_repeat_the_hash() -> None:
    with pytest.raises(BrokenFile) as caught:
        parse_keys(file(line(), line()))
    assert SHA256 not in str(caught.value)


def test_a_new_key_is_found_by_its_line_which_does_not_name_it() -> None:
    key, text = new_key("shop", ["place"], "u1", "2030-01-01T00:00:00Z")
    assert key not in text and len(key) > 40
    assert find_key(parse_keys(text.encode()), key, now=0) == Caller(
        "key:shop", "api_key", frozenset({Scope.PLACE}), "u1"
    )
    assert new_key("shop", ["place"], None, None)[0] != key


@given(st.binary(max_size=300))
def test_any_bytes_are_keys_or_refused(content: bytes) -> None:
    try:
        parse_keys(content)
    except BrokenFile:
        pass
