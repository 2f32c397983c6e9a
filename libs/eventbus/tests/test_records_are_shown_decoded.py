"""What ``eventbus tail`` and ``eventbus decode`` make of records: messages, what failed, and what is no message."""

from __future__ import annotations

import base64
import io
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.cli.decode import frames
from eventbus.cli.described import Described, described
from eventbus.cli.ending import CommandError, Exit
from eventbus.cli.record_reader import by_time
from eventbus.cli.starts import Start, Starts
from eventbus.cli.tail import Wanted
from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.kafka.records import partition_of
from eventbus.model.messages import Envelope, Message
from eventbus.model.places import Partition
from eventbus.model.record import Headers, Raw
from eventbus.model.versions import Version
from eventbus.retry.parked import Parked, State
from parcels.messages import RecallParcel, SendParcel

NOW = 1_800_000_000_000
CODEC = Codec("parcels")
FOLDER = Path(__file__).parent / "parcels"


def record(message: Message, topic: str = "parcel.commands", partition: int = 0, offset: int = 7) -> Raw:
    """A message as a record, written by this library."""
    envelope = Envelope.from_outside(message, topic, partition, time=NOW, source="/test")
    return Raw(
        topic, partition, offset, message.key.encode(), CODEC.encode(message), headers_of(envelope), NOW
    )


def foreign(value: bytes | None, key: bytes | None = b"p1", headers: Headers | None = None) -> Raw:
    return Raw("parcel.commands", 0, 7, key, value, headers or [], NOW)


RECALL = RecallParcel(parcel_id="p1", reason="no", timestamp=1)


def test_a_message_is_shown_with_its_fields_and_what_its_headers_say() -> None:
    shown = described(CODEC, record(RECALL)).as_json()

    assert shown["message"] == {"parcelId": "p1", "reason": "no", "timestamp": 1}
    assert (shown["type"], shown["schema"], shown["schemaId"]) == ("RecallParcel", "RecallParcel.v1", 3)
    assert (shown["topic"], shown["partition"], shown["offset"]) == ("parcel.commands", 0, 7)
    assert (shown["key"], shown["written"]) == ("p1", "2027-01-15T08:00:00.000Z")
    assert shown["source"] == "/test" and shown["id"] == shown["correlationId"]
    assert {h["name"] for h in shown["headers"]} >= {"ce_id", "ce_type", "ce_specversion"}
    assert not {"problem", "base64", "failed"} & set(shown)


def test_a_line_says_where_when_what_whom_and_the_content() -> None:
    line = described(CODEC, record(RECALL)).line()
    assert line == (
        "parcel.commands-0-7 2027-01-15T08:00:00.000Z RecallParcel.v1 p1 "
        '{"parcelId": "p1", "reason": "no", "timestamp": 1}'
    )


def test_an_older_version_is_shown_as_todays_code_reads_it_and_under_its_own_name() -> None:
    schema = json.loads((FOLDER / "parcel.commands" / "SendParcel.v1.avsc").read_text())
    body = io.BytesIO()
    fastavro.schemaless_writer(
        body, schema, {"parcelId": "p1", "sender": "a", "article": "cup", "timestamp": 1}
    )
    shown = described(CODEC, foreign(b"\0" + struct.pack(">I", 1) + body.getvalue()))

    assert (shown.type, shown.schema) == ("SendParcel", "SendParcel.v1")
    assert shown.message is not None
    assert shown.message["contents"] == [{"article": "cup", "pieces": 1}]


def test_a_record_under_an_id_of_a_registrys_own_is_read_by_the_version_that_its_header_names() -> None:
    registered = Codec("parcels", ids={Version.parse("RecallParcel.v1"): 1_005})
    value = registered.encode(RECALL)
    shown = described(CODEC, foreign(value, headers=registered.schema_headers(value)))
    assert (shown.schema, shown.problem) == ("RecallParcel.v1", "") and shown.as_json()["schemaId"] == 1_005
    assert shown.message == {"parcelId": "p1", "reason": "no", "timestamp": 1}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (foreign(b"not a parcel"), "Confluent wire format"),
        (foreign(b"\0\0\0\0\x63body"), "unknown schema id 99"),
        (foreign(b"\0\0\0\0\x03"), "the body is not RecallParcel"),
        (foreign(b""), "empty value"),
        (foreign(CODEC.encode(RECALL))._replace(flaw="a name is not UTF-8"), "a name is not UTF-8"),
        (foreign(CODEC.encode(RECALL), key=b"p2"), "is not the parcel_id 'p1' of its body"),
        (foreign(CODEC.encode(RECALL), key=None), "the record's key None"),
        (foreign(CODEC.encode(RECALL), key=b"\xff\x1b"), "is not the parcel_id"),
    ],
)
def test_what_a_service_would_refuse_is_shown_with_the_reason(raw: Raw, words: str) -> None:
    shown = described(CODEC, raw)
    assert words in shown.as_json()["problem"]
    assert words in shown.line() and shown.line().isprintable()


def test_bytes_that_are_no_message_are_kept_whole_for_programs_and_cut_for_people() -> None:
    shown = described(CODEC, foreign(b"\x1b]52;c" + b"x" * 10_000))
    assert base64.b64decode(shown.as_json()["base64"]) == shown.raw.value
    assert len(shown.line()) < 500 and shown.line().endswith("…")


def test_a_record_in_another_partition_than_that_of_its_key_is_named() -> None:
    right = partition_of(b"p1", 6)
    assert described(CODEC, record(RECALL, partition=right), 6).problem == ""
    wrong = described(CODEC, record(RECALL, partition=(right + 1) % 6), 6)
    assert wrong.problem == f"its key belongs to partition {right} (murmur2)"
    assert wrong.message is not None


def test_a_record_without_a_value_is_shown_as_such() -> None:
    shown = described(CODEC, foreign(None))
    assert shown.problem == "" and shown.line().endswith("? p1 (no value)")


def failed(state: State, **fields: Any) -> Parked:
    raw = record(RECALL)
    waits = Parked(raw, "parcel.events", "p1", 1, state, 2, 0, NOW, "TimeoutError", "no\nanswer")
    return Parked(**{**{name: getattr(waits, name) for name in waits.__dataclass_fields__}, **fields})


def retry(parked: Parked) -> Raw:
    key = parked.raw.coordinates.encode()
    return Raw("parcel.retry", 3, 9, key, parked.raw.value, parked.headers(), NOW)


def letter(parked: Parked) -> Raw:
    headers = parked.dead_letter_headers("parcel", "1", NOW)
    return Raw("parcel.dlq", 3, 9, parked.raw.key, parked.raw.value, headers, NOW)


def test_a_retry_shows_its_message_how_it_waits_and_why() -> None:
    shown = described(CODEC, retry(failed(State.WAITING, due=NOW + 1_000)))

    assert shown.message == {"parcelId": "p1", "reason": "no", "timestamp": 1}
    assert shown.failed["state"] == "WAITING" and shown.failed["record"] == "parcel.commands-0-7"
    assert shown.failed["attempts"] == 2 and shown.failed["due"] == "2027-01-15T08:00:01.000Z"
    assert shown.failed["error"] == "TimeoutError: no\nanswer"
    assert shown.key == "p1" and shown.problem == ""
    assert "WAITING RecallParcel.v1 p1 (2 tries of parcel.commands-0-7, due 2027-01-15" in shown.line()
    assert not [h for h in shown.as_json()["headers"] if h["name"].startswith("__eventbus")]


def test_a_message_that_no_longer_waits_has_no_bytes_and_no_problem() -> None:
    raw = record(RECALL)._replace(value=b"")
    shown = described(CODEC, retry(failed(State.RESOLVED, raw=raw, events=("ParcelRecalled",))))
    assert (shown.message, shown.problem, shown.type) == (None, "", "RecallParcel")
    assert shown.failed["events"] == ["ParcelRecalled"]


def test_a_dead_letter_shows_its_message_and_the_reason() -> None:
    shown = described(CODEC, letter(failed(State.DEAD, attempt=1)))
    assert shown.message is not None and shown.failed["state"] == "DEAD LETTER"
    assert "DEAD LETTER RecallParcel.v1 p1 (1 try of parcel.commands-0-7) TimeoutError: no" in shown.line()

    poison = Parked.rejected(foreign(b"junk"), ValueError("not Avro"), NOW)
    assert "(1 try of parcel.commands-0-7) ValueError: not Avro" in described(CODEC, letter(poison)).line()


def test_a_retry_in_a_format_of_newer_code_says_so() -> None:
    newer = retry(failed(State.WAITING))
    headers = [(name, b"99" if name == "__eventbus.retry.format" else value) for name, value in newer.headers]
    assert headers != newer.headers
    shown = described(CODEC, newer._replace(headers=headers))
    assert shown.problem.startswith(
        "newer code wrote this: it is written in format 99, this code reads up to"
    )
    assert shown.message is not None and not shown.failed


@pytest.mark.parametrize("topic", ["parcel.retry", "parcel.dlq"])
def test_what_somebody_else_wrote_to_such_a_topic_is_shown_as_it_is(topic: str) -> None:
    forged: Headers = [("__eventbus.errors.topic", b"t"), ("__eventbus.errors.offset", b"-1")]
    for raw in (foreign(b"junk", headers=forged), foreign(None), record(RECALL)):
        shown = described(CODEC, raw._replace(topic=topic))
        assert not shown.failed and shown.line().startswith(f"{topic}-0-7")


@given(
    st.builds(
        Raw,
        st.sampled_from(["parcel.commands", "parcel.retry", "parcel.dlq"]),
        st.integers(0, 5),
        st.integers(0, 9),
        st.none() | st.binary(max_size=20),
        st.none() | st.binary(max_size=60) | st.binary(max_size=60).map(lambda b: b"\0\0\0\0\x02" + b),
        st.lists(
            st.tuples(
                st.sampled_from(["ce_type", "cause", "__eventbus.retry.state", "__eventbus.errors.topic"])
                | st.text(max_size=5),
                st.none() | st.binary(max_size=20),
            ),
            max_size=4,
        ),
        st.integers(0, NOW),
    )
)
def test_no_record_ends_it_or_reaches_a_terminal_as_anything_but_text(raw: Raw) -> None:
    shown = described(CODEC, raw, 6)
    assert shown.line().isprintable()
    assert json.loads(json.dumps(shown.as_json()))["offset"] == raw.offset


# What is chosen


def shown_as(raw: Raw) -> Described:
    return described(CODEC, raw)


def test_a_key_is_looked_for_in_its_own_partition_and_what_failed_in_all() -> None:
    wanted = Wanted(("p1", "p2"))
    places = {Partition("parcel.events", partition_of(key, 6)) for key in (b"p1", b"p2")}
    assert set(wanted.partitions("parcel.events", 6)) == places
    assert len(wanted.partitions("parcel.retry", 6)) == len(wanted.partitions("parcel.dlq", 6)) == 6
    assert len(Wanted().partitions("parcel.events", 6)) == 6


def test_records_are_chosen_by_key_by_type_and_by_version() -> None:
    found = shown_as(record(RECALL))
    assert Wanted().match(found) and Wanted(("p1",)).match(found) and not Wanted(("p2",)).match(found)
    for name in ("RecallParcel", "recallparcel", "RecallParcel.v1"):
        assert Wanted(type=name).match(found)
    assert not Wanted(type="RecallParcel.v2").match(found)
    assert Wanted(("p1",), "RecallParcel").match(shown_as(retry(failed(State.WAITING))))


@pytest.mark.parametrize(
    ("text", "offset"),
    [("beginning", 10), ("end", 30), ("17", 17), ("3", 10), ("99", 30), ("-5", 25), ("-99", 10), ("-0", 30)],
)
def test_a_start_lies_between_the_first_record_and_the_end(text: str, offset: int) -> None:
    assert Start.parse(text, NOW).within(10, 30) == offset


def test_a_start_may_be_a_time_or_that_of_some_partitions() -> None:
    assert Starts.parse(["2027-01-15T08:00"], 0).everywhere == Start(time=NOW)
    assert Starts.parse(["15m"], NOW).everywhere == Start(time=NOW - 900_000)
    assert Starts.parse(["3:17", "0:end"], 0).partitions == {3: Start(offset=17), 0: Start()}


@pytest.mark.parametrize(
    "texts",
    [
        ["soon"],
        ["1:"],
        ["-1:3"],
        ["99999999999999999999"],
        ["end", "17"],
        ["end", "0:1"],
        ["0:x"],
        ["1d2"],
        ["٣"],
    ],
)
def test_a_start_that_is_none_is_refused_by_name(texts: list[str]) -> None:
    with pytest.raises(CommandError, match="--from") as refused:
        Starts.parse(texts, NOW)
    assert refused.value.code == Exit.USAGE


def test_records_of_several_partitions_come_by_their_times_and_those_of_one_in_their_order() -> None:
    def at(partition: int, offset: int, time: int) -> Raw:
        return Raw("t", partition, offset, None, None, [], time)

    mixed = [at(0, 0, 5), at(0, 1, 3), at(0, 2, 9), at(1, 0, 4), at(1, 1, 6)]
    assert [(r.partition, r.offset) for r in by_time(mixed)] == [(1, 0), (0, 0), (0, 1), (1, 1), (0, 2)]


# kcat


def frame(raw: Raw) -> bytes:
    """A record as kcat prints it with the documented format (version 1.7.1)."""
    lengths = " ".join("-1" if part is None else str(len(part)) for part in (raw.key, raw.value))
    head = f"{raw.topic} {raw.partition} {raw.offset} {raw.timestamp} {lengths}\n"
    return head.encode() + (raw.key or b"") + (raw.value or b"") + b"\n"


@given(
    st.lists(st.tuples(st.none() | st.binary(max_size=30), st.none() | st.binary(max_size=30)), max_size=5)
)
def test_any_bytes_pass_from_kcat_as_they_are(parts: list[tuple[bytes | None, bytes | None]]) -> None:
    records = [Raw("a.b-c_D", 3, i, key, value, [], NOW) for i, (key, value) in enumerate(parts)]
    assert list(frames(io.BytesIO(b"".join(map(frame, records))))) == records


def test_the_prefix_of_an_environment_is_taken_off() -> None:
    (raw,) = frames(io.BytesIO(b"x.parcel.events 0 1 -1 -1 -1\n\n"), "x.")
    assert (raw.topic, raw.timestamp, raw.key, raw.value) == ("parcel.events", 0, None, None)


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        (b"junk\n", "record 2 begins with b'junk"),
        (b'{"topic": "t"}\n', "record 2 begins with"),
        (b"x" * 100_000, "record 2 begins with"),
        (b"t 0 1 2 3 4\nkey", "record 2 ends after 0 of 4 bytes"),
        (b"t 0 1 2 1 1\nkvv\n", "record 2 is longer than it says"),
        (b"t 0 1 2 1 1\nkv", "record 2 is longer than it says"),
        (b"t 0 1 2 1 4000000000\nkv\n", "record 2 says that it has 4000000000 bytes"),
        (b"t 0 1 2 -2 1\nv\n", "record 2 begins with"),
        (b"t 0 1 2 1 1", "record 2 begins with"),
    ],
)
def test_other_input_is_refused_at_its_first_wrong_record(tail: bytes, words: str) -> None:
    found = frames(io.BytesIO(frame(record(RECALL)) + tail))
    assert next(found).key == b"p1"
    with pytest.raises(ValueError, match="record 2") as refused:
        next(found)
    assert words in str(refused.value)


@pytest.fixture
def eventbus() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Runs the command line as a process."""

    def run(*words: str, typed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "eventbus", "--schemas", "parcels", *words]
        path = f"{FOLDER.parent}:{FOLDER.parent.parent}"
        return subprocess.run(command, input=typed, capture_output=True, env={"PYTHONPATH": path}, timeout=30)

    return run


def test_decode_prints_a_line_for_each_record_and_says_what_it_wants(
    eventbus: Callable[..., subprocess.CompletedProcess[bytes]],
) -> None:
    typed = frame(record(RECALL)) + frame(record(SendParcel(parcel_id="Ærø\n", sender="a", timestamp=1)))
    first, second = eventbus("decode", "--json", typed=typed).stdout.splitlines()
    assert json.loads(first)["message"]["parcelId"] == "p1"
    assert json.loads(second)["key"] == "Ærø\n"

    wrong = eventbus("decode", typed=frame(record(RECALL)) + b"{}\n")
    assert wrong.returncode == Exit.USAGE and wrong.stdout.startswith(b"parcel.commands-0-7 ")
    assert wrong.stderr.decode().splitlines() == [
        "record 2 begins with b'{}\\n'; give what `kcat -C -b HOST:PORT -t TOPIC -f "
        "'%t %p %o %T %K %S\\n%k%s\\n'` prints."
    ]


def test_a_reader_that_has_seen_enough_ends_it_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "many").write_bytes(frame(record(RECALL)) * 5_000)
    decode = f"{sys.executable} -m eventbus --schemas parcels decode < {tmp_path / 'many'}"
    path = f"{FOLDER.parent}:{FOLDER.parent.parent}"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {decode} | head -n 1"],
        env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout.count(b"\n") == 1
