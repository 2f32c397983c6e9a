"""Code that knows a newer version of a message reads it, and writes the older one until it is told otherwise.

The package ``meters`` knows MeterRead in 1.0, 2.0 and 2.1, and ``written.json`` has it still written in 2.0.
"""

from __future__ import annotations

import json
import shutil
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import meters.messages
from eventbus import Decider, Event, Poison
from eventbus.codec import Codec
from eventbus.model.errors import Unrepresentable
from eventbus.model.folding import Folded
from eventbus.model.messages import Envelope
from eventbus.model.record import Raw
from eventbus.processing.context import TurnContext, turn_context
from eventbus.processing.outgoing import produced
from eventbus.processing.work import WorkItem
from eventbus.settings import Settings
from meters.messages import Counter, MeterRead, Place, ReadMeter

FOLDER = Path(str(meters.messages.__file__)).parent
HELD = Codec("meters")
READ = MeterRead(
    meter_id="m1",
    timestamp=5,
    counters=(Counter(name="day", units=7, digits=8),),
    note="wet",
    place=Place(city="Ulm", floor=2, indoors=False),
)
AS_VERSION_2 = replace(READ, version="2.0", counters=(Counter(name="day", units=7),), note="", place=None)

text = st.text(max_size=4)
int32 = st.integers(-(2**31), 2**31 - 1)
counters = st.lists(st.builds(Counter, name=text, units=int32, digits=int32), max_size=3).map(tuple)
reads = st.builds(
    MeterRead,
    meter_id=st.just("m1"),
    units=st.none() | int32,
    timestamp=st.integers(1, 2**50),
    version=st.sampled_from(["1.0", "2.0", "2.1", "x"]),
    counters=counters,
    note=text,
    place=st.none() | st.builds(Place, city=text, floor=st.none() | int32, indoors=st.booleans()),
)


def id_of(value: bytes) -> int:
    (schema_id,) = struct.unpack(">I", value[1:5])
    return int(schema_id)


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Makes a copy of the package under the name ``changed``, with other files; returns the name."""

    def make(**files: str | None) -> str:
        copy = tmp_path / "changed"
        shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
        for name, content in files.items():
            path = copy / name.replace("_json", ".json").replace("_py", ".py")
            path.unlink() if content is None else path.write_text(content, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        for module in [name for name in sys.modules if name.split(".")[0] == "changed"]:
            monkeypatch.delitem(sys.modules, module)
        return "changed"

    return make


def test_a_message_is_written_in_the_version_that_is_named_and_its_later_ones_are_read(
    changed: Callable[..., str],
) -> None:
    assert id_of(HELD.encode(READ)) == 12
    released = Codec(changed(written_json=None))
    cls: Any = sys.modules["changed.messages"]
    value = released.encode(in_module(cls, READ))
    assert id_of(value) == 13
    assert HELD.decode_value(value) == READ


def in_module(module: ModuleType | Any, read: MeterRead) -> Any:
    """The message as the classes of a copied package have it."""
    counters = tuple(
        module.Counter(**{n: getattr(c, n) for n in ("name", "units", "digits")}) for c in read.counters
    )
    place = read.place and module.Place(
        city=read.place.city, floor=read.place.floor, indoors=read.place.indoors
    )
    fields = {name: getattr(read, name) for name in ("meter_id", "units", "timestamp", "version", "note")}
    return module.MeterRead(**fields, counters=counters, place=place)


def test_what_the_older_version_cannot_hold_is_read_as_its_default() -> None:
    assert HELD.as_read(READ, HELD.encode(READ)) == AS_VERSION_2
    assert HELD.decode_value(HELD.encode(READ)) == AS_VERSION_2


def test_without_a_line_a_message_is_read_as_the_very_object_that_was_written() -> None:
    command = ReadMeter(meter_id="m1", note="x")
    assert HELD.as_read(command, HELD.encode(command)) is command


@given(reads)
def test_a_message_as_read_is_what_its_value_holds(read: MeterRead) -> None:
    seen = HELD.as_read(read, HELD.encode(read))
    assert seen == HELD.decode_value(HELD.encode(read))
    assert HELD.as_read(seen, HELD.encode(seen)) == seen
    assert HELD.encode(seen) == HELD.encode(read)


@dataclass(frozen=True)
class Meter:
    """All that was ever read, each as it was folded."""

    seen: tuple[Event, ...] = ()


def decider_of(outputs: Sequence[MeterRead]) -> Decider[Meter]:
    return Decider(
        "meter.events",
        (ReadMeter,),
        Meter(),
        lambda message, meter: outputs,
        lambda meter, event: Meter((*meter.seen, event)),
    )


class StateOfNothing:
    """A store that nothing asks."""


def led(outputs: Sequence[MeterRead]) -> tuple[Meter, list[bytes]]:
    """The state of the leader after an input that led to these events, and the values it wrote."""
    decider = decider_of(outputs)
    context: TurnContext = turn_context(
        "meter",
        {decider.log: decider},
        HELD,
        Settings(),
        StateOfNothing(),  # type: ignore[arg-type]
        lambda key: 0,
        clock=lambda: 9,
        jitter=lambda: 0.0,
    )
    command = ReadMeter(meter_id="m1")
    raw = Raw("meter.commands", 0, 0, b"m1", HELD.encode(command), [], 1)
    envelope: Envelope = HELD.decode(raw)
    records, folded = produced(
        context,
        WorkItem.of(decider, raw, envelope),
        Folded(decider.initial),
        decider.decide(command, Meter()),
    )
    return folded.state, [record.value or b"" for record in records]


def rebuilt(values: Sequence[bytes]) -> Meter:
    """The state of a replica that folds these values."""
    return reduce(decider_of([]).evolve, map(HELD.decode_value, values), Meter())


@given(st.lists(reads, min_size=1, max_size=3))
def test_the_leader_holds_in_memory_what_a_rebuild_from_the_log_gives(outputs: list[MeterRead]) -> None:
    memory, values = led(outputs)
    assert memory == rebuilt(values)


def test_a_leader_that_folds_what_it_meant_differs_from_a_rebuild(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HELD, "as_read", lambda message, value: message)
    memory, values = led([READ])
    assert memory != rebuilt(values)
    assert (memory.seen, rebuilt(values).seen) == ((READ,), (AS_VERSION_2,))


def test_a_message_can_be_written_in_any_version_that_can_say_it() -> None:
    one = replace(READ, counters=(Counter(name="", units=7),), units=7)
    first = HELD.encode_as(one, "MeterRead.v1")
    assert (id_of(first), HELD.decode_value(first)) == (
        11,
        replace(one, version="1.0", note="", place=None),
    )
    assert HELD.encode_as(READ, "MeterRead.v2") == HELD.encode(READ)
    assert HELD.decode_value(HELD.encode_as(READ, "MeterRead.v2.1")) == READ


@given(reads)
def test_an_older_major_version_says_the_whole_or_nothing(read: MeterRead) -> None:
    if [counter.name for counter in read.counters] != [""]:
        with pytest.raises(Unrepresentable, match="version 1 has one counter without a name"):
            HELD.encode_as(read, "MeterRead.v1")
        return
    message: Any = HELD.decode_value(HELD.encode_as(read, "MeterRead.v1"))
    assert [(c.name, c.units) for c in message.counters] == [(c.name, c.units) for c in read.counters]


def test_a_field_of_the_wrong_type_is_no_matter_of_the_version() -> None:
    wrong = replace(READ, meter_id=7)  # type: ignore[arg-type]
    for write in (HELD.encode, lambda m: HELD.encode_as(m, "MeterRead.v2.1")):
        with pytest.raises(Poison, match=r"MeterRead\.meter_id must be str, not int") as raised:
            write(wrong)
        assert not isinstance(raised.value, Unrepresentable)


def test_a_downcast_that_leaves_out_what_its_version_needs_is_told_apart_from_a_wrong_field(
    changed: Callable[..., str],
) -> None:
    codec = Codec(changed(downcasts_py="DOWNCASTS = {('MeterRead', 1): lambda record: record}"))
    with pytest.raises(Unrepresentable, match=r"MeterRead does not fit its schema MeterRead\.v1: .*units"):
        codec.encode_as(in_module(sys.modules["changed.messages"], READ), "MeterRead.v1")


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("MeterRead.v3", r"MeterRead has no version MeterRead\.v3: its latest is MeterRead\.v2\.1"),
        ("ReadMeter.v1", r"MeterRead has no version ReadMeter\.v1"),
        ("MeterRead", "'MeterRead' is no version of a message"),
        ("MeterRead.v2.0", "is no version of a message"),
    ],
)
def test_a_version_that_there_is_not_is_refused_at_the_start(version: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        HELD.check_writes(MeterRead, version)
    HELD.check_writes(MeterRead, "MeterRead.v1")


def test_a_version_that_no_downcast_leads_to_is_refused_at_the_start(changed: Callable[..., str]) -> None:
    name = changed(downcasts_py=None)
    codec = Codec(name)
    with pytest.raises(ValueError, match=r"has no function for \('MeterRead', 1\)"):
        codec.check_writes(sys.modules[f"{name}.messages"].MeterRead, "MeterRead.v1")
    with pytest.raises(ValueError, match=r"MeterRead cannot be written as MeterRead\.v1: .*downcasts\.py"):
        Codec(changed_again(name, {"MeterRead": "MeterRead.v1"}))


def changed_again(name: str, written: Any) -> str:
    path = Path(str(sys.modules[f"{name}.messages"].__file__)).parent / "written.json"
    path.write_text(json.dumps(written), encoding="utf-8")
    return name


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (
            '{"MeterRed": "MeterRed.v1"}',
            "names MeterRed, but .*changed has no such message: take the line out",
        ),
        (
            '{"MeterRead": "MeterRead.v3"}',
            r"has no version MeterRead\.v3: give one of MeterRead\.v1, MeterRead\.v2",
        ),
        ('{"MeterRead": "ReadMeter.v1"}', r"MeterRead has no version ReadMeter\.v1"),
        ('{"MeterRead": 2}', "'2' is no version of a message"),
        (
            '{"MeterRead": "MeterRead.v2", "MeterRead": "MeterRead.v1"}',
            "'MeterRead' stands there more than once",
        ),
        ("[]", r"written\.json is no JSON object"),
        ("{", r"written\.json cannot be read"),
    ],
)
def test_a_wrong_line_is_named_with_its_file(changed: Callable[..., str], written: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        Codec(changed(written_json=written))
    assert "changed/written.json" in str(raised.value)


def test_a_version_newer_than_its_class_is_not_written(changed: Callable[..., str]) -> None:
    classes = (FOLDER / "messages.py").read_text(encoding="utf-8").replace("MeterRead.v2.1", "MeterRead.v2")
    with pytest.raises(
        ValueError, match=r"MeterRead\.v2\.1 is newer than MeterRead\.v2, .*generate the classes"
    ):
        Codec(changed(messages_py=classes, written_json='{"MeterRead": "MeterRead.v2.1"}'))


def test_a_cast_that_would_never_be_called_is_refused(changed: Callable[..., str]) -> None:
    with pytest.raises(
        ValueError, match=r"UPCASTS has \('MeterRead', 2\), but ids\.json has no such older major"
    ):
        Codec(changed(upcasts_py="UPCASTS = {('MeterRead', 2): dict}"))


def test_an_operator_says_what_is_written_while_older_code_runs() -> None:
    codec = Codec("meters", write_as=["MeterRead.v1"])
    old = MeterRead(meter_id="m1", timestamp=5, counters=(Counter(name="", units=3),))
    value = codec.encode(old)
    assert codec.version_of(value) == "MeterRead.v1"
    assert HELD.version_of(HELD.encode(old)) == "MeterRead.v2", "it goes before written.json"
    assert codec.as_read(old, value) == codec.decode_value(value)


@pytest.mark.parametrize(
    ("version", "what"),
    [
        ("MeterRead.v9", "MeterRead has no version MeterRead.v9"),
        ("MeterLost.v1", "no schema package has a message MeterLost"),
        ("MeterRead", "MeterRead"),
    ],
)
def test_a_version_that_cannot_be_written_is_named(version: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Codec("meters", write_as=[version])
