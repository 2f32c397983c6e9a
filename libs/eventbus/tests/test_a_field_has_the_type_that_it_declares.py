"""A field of the wrong type is found by a test of the rules and when it is encoded, and it is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

import meters.messages
import parcels.messages
from eventbus import Decider, Event, Poison
from eventbus.codec import Codec
from eventbus.model.rules import check_fields
from eventbus.testing import given
from meters.messages import Counter, MeterRead, Place, ReadMeter
from parcels.messages import Insurance

CODEC = Codec("meters", "parcels")
COUNTER = Counter(name="day", units=7)
READ = MeterRead(meter_id="m1", units=7, counters=(COUNTER,), place=Place(city="Ulm"), timestamp=1)


class Colour(IntEnum):
    RED = 1


class Text(StrEnum):
    DAY = "day"


@dataclass(frozen=True)
class LikeACounter:
    """Has the fields of a Counter, and is none."""

    name: str = "day"
    units: int = 7
    digits: int = 6


def changed(record: Any, **values: Any) -> Any:
    return replace(record, **values)


def with_counter(**values: Any) -> Any:
    return changed(READ, counters=(COUNTER, changed(COUNTER, **values)))


def with_place(**values: Any) -> Any:
    return changed(READ, place=changed(Place(city="Ulm"), **values))


SURROGATE = "\ud800"
WRONG: dict[str, tuple[Any, str]] = {
    "a number for a text": (changed(READ, note=7), "MeterRead.note must be str, not int (7)"),
    "bytes for a text": (changed(READ, note=b"x"), "MeterRead.note must be str, not bytes (b'x')"),
    "nothing for a text": (changed(READ, note=None), "MeterRead.note must be str, not NoneType (None)"),
    "a key that is no text": (changed(READ, meter_id=7), "MeterRead.meter_id must be str, not int (7)"),
    "half a character": (
        changed(READ, note=SURROGATE),
        "MeterRead.note must be text that UTF-8 can hold, not '\\ud800'",
    ),
    "half a character in a record": (
        with_counter(name=SURROGATE),
        "MeterRead.counters[1].name must be text that UTF-8 can hold, not '\\ud800'",
    ),
    "a text for a long": (changed(READ, timestamp="1"), "MeterRead.timestamp must be int, not str ('1')"),
    "a fraction for a long": (
        changed(READ, timestamp=1.5),
        "MeterRead.timestamp must be int, not float (1.5)",
    ),
    "a whole fraction for a long": (
        changed(READ, timestamp=1.0),
        "MeterRead.timestamp must be int, not float (1.0)",
    ),
    "a truth value for a long": (
        changed(READ, timestamp=True),
        "MeterRead.timestamp must be int, not bool (True)",
    ),
    "a long of 64 bits": (
        changed(READ, timestamp=2**63),
        f"MeterRead.timestamp must be from {-(2**63)} to {2**63 - 1}, not {2**63}",
    ),
    "nothing for a long": (
        changed(READ, timestamp=None),
        "MeterRead.timestamp must be int, not NoneType (None)",
    ),
    "a fraction for an int": (
        with_counter(units=2.55),
        "MeterRead.counters[1].units must be int, not float (2.55)",
    ),
    "a truth value for an int": (
        with_counter(units=False),
        "MeterRead.counters[1].units must be int, not bool (False)",
    ),
    "a member of an enumeration for an int": (
        with_counter(units=Colour.RED),
        "MeterRead.counters[1].units must be int, not Colour (<Colour.RED: 1>)",
    ),
    "an int of 32 bits": (
        with_counter(units=2**31),
        f"MeterRead.counters[1].units must be from {-(2**31)} to {2**31 - 1}, not {2**31}",
    ),
    "an int below 32 bits": (
        with_counter(units=-(2**31) - 1),
        f"MeterRead.counters[1].units must be from {-(2**31)} to {2**31 - 1}, not {-(2**31) - 1}",
    ),
    "an optional int of 32 bits": (
        changed(READ, units=2**31),
        f"MeterRead.units must be from {-(2**31)} to {2**31 - 1}, not {2**31}",
    ),
    "a truth value for an optional int": (
        changed(READ, units=True),
        "MeterRead.units must be int, not bool (True)",
    ),
    "a fraction in an optional record": (
        with_place(floor=1.0),
        "MeterRead.place.floor must be int, not float (1.0)",
    ),
    "a number for a truth value": (
        with_place(indoors=1),
        "MeterRead.place.indoors must be bool, not int (1)",
    ),
    "a text for a truth value": (
        with_place(indoors="no"),
        "MeterRead.place.indoors must be bool, not str ('no')",
    ),
    "nothing for a truth value": (
        with_place(indoors=None),
        "MeterRead.place.indoors must be bool, not NoneType (None)",
    ),
    "a record for another": (
        changed(READ, place=COUNTER),
        "MeterRead.place must be Place, not Counter (Counter(name='day', units=7, digits=6))",
    ),
    "a dict for a record": (
        changed(READ, place={"city": "Ulm"}),
        "MeterRead.place must be Place, not dict ({'city': 'Ulm'})",
    ),
    "nothing for a record": (
        changed(READ, counters=(None,)),
        "MeterRead.counters[0] must be Counter, not NoneType (None)",
    ),
    "a record that only looks like one": (
        changed(READ, counters=(LikeACounter(),)),
        "MeterRead.counters[0] must be Counter, not LikeACounter (LikeACounter(name='day', units=7, digits=6))",
    ),
    "a list for a tuple": (
        changed(READ, counters=[COUNTER]),
        "MeterRead.counters must be tuple, not list ([Counter(name='day', units=7, digits=6)])",
    ),
    "nothing for a tuple": (
        changed(READ, counters=None),
        "MeterRead.counters must be tuple, not NoneType (None)",
    ),
    "one record for a tuple": (
        changed(READ, counters=COUNTER),
        "MeterRead.counters must be tuple, not Counter (Counter(name='day', units=7, digits=6))",
    ),
    "an empty text for a tuple": (
        changed(READ, counters=""),
        "MeterRead.counters must be tuple, not str ('')",
    ),
}


@pytest.mark.parametrize(("message", "reason"), WRONG.values(), ids=WRONG)
def test_it_is_poison_when_it_is_encoded(message: Any, reason: str) -> None:
    with pytest.raises(Poison) as refused:
        CODEC.encode(message)
    assert str(refused.value) == f"MeterRead does not fit its schema MeterRead.v2.1: {reason}"


def decider_of(outputs: Sequence[Event]) -> Decider[None]:
    return Decider(
        "meter.events", (ReadMeter,), None, lambda message, state: outputs, lambda state, event: None
    )


@pytest.mark.parametrize(("message", "reason"), WRONG.values(), ids=WRONG)
def test_a_test_of_the_rules_finds_it(message: Any, reason: str) -> None:
    if message.meter_id == 7:
        reason = "meter.events: MeterRead has the key '7', but its input has the key 'm1'"
    with pytest.raises(TypeError) as refused:
        given(decider_of([message])).when(ReadMeter(meter_id="m1"))
    assert str(refused.value) == reason


def test_a_test_of_the_rules_finds_it_in_what_is_given_and_in_the_input_too() -> None:
    wrong: Any = changed(READ, timestamp=1.5)
    with pytest.raises(TypeError, match=r"MeterRead\.timestamp must be int"):
        given(decider_of([READ]), wrong)
    with pytest.raises(TypeError, match=r"ReadMeter\.note must be str"):
        given(decider_of([READ])).when(changed(ReadMeter(meter_id="m1"), note=None))


def test_a_member_of_a_text_enumeration_is_a_text() -> None:
    message = with_counter(name=Text.DAY)
    check_fields(message)
    read: Any = CODEC.decode_value(CODEC.encode(message))
    assert read.counters[1].name == "day"


anything = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(max_size=3),
    st.binary(max_size=3), st.just([COUNTER]), st.just((COUNTER,)), st.just(()), st.just({}), st.just((1,)),
    st.just(Place(city="Ulm")), st.just("\udfff"), st.just(Colour.RED),
)  # fmt: skip


def complaint(message: MeterRead) -> str:
    """What the check of a test says of it."""
    try:
        check_fields(message)
    except TypeError as error:
        return str(error)
    return ""


@drawn(st.sampled_from([f.name for f in fields(MeterRead)]), anything)
def test_what_is_encoded_is_read_as_it_was_and_whatever_else_is_refused_with_its_field(
    name: str, value: Any
) -> None:
    """The check of a test and the check of the codec agree about every value."""
    message = changed(READ, **{name: value})
    if reason := complaint(message):
        with pytest.raises(Poison) as refused:
            CODEC.encode_as(message, "MeterRead.v2.1")
        assert reason in str(refused.value)
    else:
        assert CODEC.decode_value(CODEC.encode_as(message, "MeterRead.v2.1")) == message


def test_messages_and_their_records_are_frozen_and_take_no_other_field() -> None:
    for record in (READ, COUNTER, Insurance(amount=1, currency="GBP")):
        for field in fields(record):
            with pytest.raises(FrozenInstanceError):
                setattr(record, field.name, 8)
        assert not hasattr(record, "__dict__")


@pytest.mark.parametrize("module", [meters.messages, parcels.messages])
def test_no_field_of_a_message_can_be_a_fraction(module: Any) -> None:
    text = Path(str(module.__file__)).read_text(encoding="utf-8")
    assert "float" not in text and "Decimal" not in text and "Any" not in text
