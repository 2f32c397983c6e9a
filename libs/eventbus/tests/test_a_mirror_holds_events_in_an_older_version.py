"""An own event is also written in an older version, beside its log: all of it, or it is counted and left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus import Decider, Mirror, Service
from eventbus.codec import Codec
from eventbus.kafka.topics import Topic, topics_of
from eventbus.model.folding import Folded
from eventbus.model.mirror import check_mirrors
from eventbus.model.record import Raw
from eventbus.model.rules import check_outputs, check_sends, has_one_writer
from eventbus.processing.context import turn_context
from eventbus.processing.outgoing import Outgoing, own_records, produced
from eventbus.processing.work import WorkItem
from eventbus.service.processor_thread import ProcessorThread
from eventbus.service.slot import Slot
from eventbus.settings import Settings
from meters.messages import Counter, MeterRead, ReadMeter
from parcels.messages import CourierBooked

CODEC = Codec("meters")
MIRROR = Mirror(MeterRead, major=1)
ONE = MeterRead(meter_id="m1", units=7, counters=(Counter(name="", units=7),))
MANY = replace(ONE, counters=(*ONE.counters, Counter(name="night", units=8)))


def decider(outputs: Sequence[Any] = ()) -> Decider[int]:
    return Decider(
        "meter.events", (ReadMeter,), 0, lambda message, state: outputs, lambda state, event: state + 1
    )


def written(*outputs: MeterRead, mirrors: Sequence[Mirror] = (MIRROR,), **settings: Any) -> list[Outgoing]:
    """What an input that leads to these events has written."""
    found = decider(outputs)
    context = turn_context(
        "meter",
        {found.log: found},
        CODEC,
        Settings(**settings),
        None,  # type: ignore[arg-type]
        lambda key: 2,
        clock=lambda: 9,
        jitter=lambda: 0.0,
        mirrors=mirrors,
    )
    raw = Raw("meter.commands", 2, 0, b"m1", CODEC.encode(ReadMeter(meter_id="m1")), [], 1)
    item = WorkItem.of(found, raw, CODEC.decode(raw))
    records, folded = produced(context, item, Folded(0), outputs)
    assert folded.state == len(outputs), "a mirror is folded by nobody"
    return records


def test_the_mirror_follows_its_event_with_the_same_key_partition_and_headers() -> None:
    event, copy = written(ONE)
    assert (event.topic, copy.topic) == ("meter.events", "meter.events.v1")
    assert (copy.key, copy.partition, copy.headers, copy.cause) == (
        event.key,
        event.partition,
        event.headers,
        event.cause,
    )
    message: Any = CODEC.decode_value(copy.value)
    assert (message.version, message.units) == ("1.0", 7)
    assert copy.value == CODEC.encode_as(replace(ONE, timestamp=9), "MeterRead.v1")


def test_without_a_mirror_the_log_alone_is_written() -> None:
    assert [record.topic for record in written(ONE, MANY, mirrors=())] == ["meter.events"] * 2


def test_an_event_that_the_older_version_cannot_say_is_left_out_and_marked() -> None:
    records = written(MANY, ONE, MANY)
    assert [record.topic for record in records] == [
        "meter.events",
        "meter.events",
        "meter.events.v1",
        "meter.events",
    ]
    assert [record.unrepresentable for record in records] == [MIRROR, None, None, MIRROR]


def test_a_mirror_is_no_part_of_what_the_state_is_folded_from() -> None:
    records = written(ONE, MANY)
    events, parked, upto = own_records([(record, offset) for offset, record in enumerate(records)])
    assert [event.topic for event in events] == ["meter.events"] * 2
    assert parked == [] and {partition.topic for partition in upto} == {"meter.events"}


@given(st.lists(st.sampled_from([ONE, MANY]), max_size=5))
def test_every_event_is_in_the_log_and_in_the_mirror_or_counted(outputs: list[MeterRead]) -> None:
    records = written(*outputs)
    log = [record for record in records if record.event]
    mirror = [record for record in records if record.topic == MIRROR.topic]
    left_out = [record for record in records if record.unrepresentable]
    assert len(log) == len(outputs) == len(mirror) + len(left_out)
    assert [CODEC.decode_value(record.value).key for record in mirror] == ["m1"] * outputs.count(ONE)


def test_the_record_in_a_mirror_may_be_as_large_as_an_event() -> None:
    _, copy = written(ONE, max_event_bytes=1_000, max_command_bytes=100)
    assert copy.size > 100


def test_a_mirror_of_an_event_that_is_still_written_in_an_older_version_says_its_own_version() -> None:
    event, copy = written(ONE)
    versions = [getattr(CODEC.decode_value(record.value), "version") for record in (event, copy)]  # noqa: B009
    assert versions == ["2.0", "1.0"]


def test_a_mirror_topic_is_made_as_a_log_by_its_owner_and_by_nobody_who_reads_it() -> None:
    assert Topic.log("meter.events.v1") in topics_of("meter", [decider()], [MIRROR])
    assert "meter.events.v1" not in {topic.name for topic in topics_of("meter", [decider()])}

    class Old(MeterRead):
        topic = "meter.events.v1"

    reader = Decider[int]("bill.events", (Old,), 0, lambda m, s: [], lambda s, e: s)
    assert "meter.events.v1" not in {topic.name for topic in topics_of("bill", [reader])}
    with pytest.raises(
        TypeError, match=r"MeterRead belongs to meter\.events\.v1, which only its owner writes"
    ):
        check_outputs(reader, None, [Old(meter_id="m1")])
    with pytest.raises(
        TypeError, match=r"MeterRead belongs to meter\.events\.v1, which only its owner writes"
    ):
        check_sends("bill.events", [Old])


@pytest.mark.parametrize(
    ("topic", "owned"),
    [
        ("meter.events", True),
        ("meter.events.v1", True),
        ("meter.events.v12", True),
        ("meter.events.vx", False),
        ("meter.events.v1.commands", False),
        ("meter.commands", False),
    ],
)
def test_only_logs_and_their_mirrors_have_one_writer(topic: str, owned: bool) -> None:
    assert has_one_writer(topic) is owned


def test_a_service_does_not_run_without_the_topics_of_its_mirrors() -> None:
    assert "meter.events.v1" in Service("meter", (decider(),), ("meters",), mirrors=(MIRROR,)).topics()
    assert "meter.events.v1" not in Service("meter", (decider(),), ("meters",)).topics()


@pytest.mark.parametrize(
    ("mirrors", "reason"),
    [
        (
            (Mirror(CourierBooked, 1),),
            r"a mirror of CourierBooked, which belongs to courier\.events: only the owner",
        ),
        ((MIRROR, Mirror(MeterRead, 2)), "two mirrors of MeterRead: keep one"),
    ],
)
def test_a_mirror_of_a_foreign_log_or_a_second_one_is_refused(
    mirrors: tuple[Mirror, ...], reason: str
) -> None:
    with pytest.raises(TypeError, match=reason):
        check_mirrors(mirrors, ["meter.events"])


@pytest.mark.parametrize(
    ("mirror", "reason"),
    [
        (Mirror(MeterRead, 9), r"MeterRead has no version MeterRead\.v9: its latest is MeterRead\.v2\.1"),
        (Mirror(CourierBooked, 1), r"a mirror of CourierBooked, which belongs to courier\.events"),
    ],
)
def test_a_process_with_a_mirror_that_it_cannot_write_does_not_start(
    tmp_path: Path, mirror: Mirror, reason: str
) -> None:
    service = Service("meter", (decider(),), ("meters",), mirrors=(mirror,))
    anything: Any = None
    with pytest.raises((TypeError, ValueError), match=reason):
        ProcessorThread(
            service, Settings(), Slot(tmp_path, "meter", 0), anything, anything, anything, anything
        )
