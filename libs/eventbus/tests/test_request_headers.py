"""The request headers that services read, and what is made of those that are wrong."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from eventbus import Unavailable
from eventbus.http import Problem, idempotency_key, matches, preferred_wait, require_fresh, rfc3339, trace

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def headers(*pairs: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.lower().encode(), value.encode("latin-1")) for name, value in pairs])


@pytest.mark.parametrize("key", ["a", "order 7", "x" * 255, "~!"])
def test_an_idempotency_key_is_taken_as_it_is(key: str) -> None:
    assert idempotency_key(headers(("Idempotency-Key", key))) == key


def test_without_the_header_there_is_no_key() -> None:
    assert idempotency_key(headers()) is None


@pytest.mark.parametrize("key", ["", " a", "a ", "x" * 256, "a\tb", "schlüssel", "a\x7f"])
def test_an_idempotency_key_that_is_wrong_is_refused(key: str) -> None:
    with pytest.raises(Problem) as refused:
        idempotency_key(headers(("Idempotency-Key", key)))
    assert (refused.value.status, "1 to 255" in refused.value.detail) == (422, True)


def test_an_idempotency_key_given_twice_is_refused() -> None:
    with pytest.raises(Problem, match="Invalid request") as refused:
        idempotency_key(headers(("Idempotency-Key", "a"), ("Idempotency-Key", "a")))
    assert refused.value.detail == "Idempotency-Key: must be given once"


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        (["wait=5"], 5),
        (['respond-async, Wait = "7"'], 7),
        (["respond-async", "wait=3; x"], 3),
        (["wait=1", "wait=2"], 1),
        (["wait=soon"], None),
        (["wait=-1"], None),
        (["waiting=5"], None),
        ([], None),
    ],
)
def test_the_wait_that_is_preferred(values: list[str], seconds: int | None) -> None:
    assert preferred_wait(headers(*(("Prefer", value) for value in values))) == seconds


@pytest.mark.parametrize(
    ("known", "same"),
    [
        ('"3"', True),
        ('W/"3"', True),
        ('"2", "3"', True),
        ("*", True),
        ('"33"', False),
        ("3", False),
        ("", False),
    ],
)
def test_whether_the_client_has_this_version(known: str, same: bool) -> None:
    assert matches(headers(("If-None-Match", known)), '"3"') is same
    assert not matches(headers(), '"3"')


def test_a_trace_is_carried_on_if_it_is_well_formed() -> None:
    assert trace(headers(("X-Correlation-ID", "c-1"), ("traceparent", TRACEPARENT))) == {
        "correlation_id": "c-1",
        "traceparent": TRACEPARENT,
    }
    nothing = {"correlation_id": None, "traceparent": None}
    assert trace(headers(("X-Correlation-ID", "c 1"), ("traceparent", "00-1-2-3"))) == nothing
    assert trace(headers(("X-Correlation-ID", "c" * 201))) == trace(headers()) == nothing


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "1970-01-01T00:00:00.000Z"), (1_700_000_000_007, "2023-11-14T22:13:20.007Z")]
)
def test_a_time_always_has_three_decimals_and_a_z(ms: int, text: str) -> None:
    assert rfc3339(ms) == text


def test_a_replica_that_has_not_heard_from_the_brokers_does_not_answer() -> None:
    class Heard:
        def __init__(self, fresh: bool) -> None:
            self._fresh = fresh

        def fresh(self) -> bool:
            return self._fresh

    require_fresh(Heard(True))
    with pytest.raises(Unavailable, match="not heard from Kafka"):
        require_fresh(Heard(False))
