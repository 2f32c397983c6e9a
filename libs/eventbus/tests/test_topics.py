"""Topics follow from deciders, and ``eventbus topics create`` says what it cannot find or make."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from eventbus import Command, Decider, Event, Message, Service
from eventbus.cli import main
from eventbus.kafka.topics import SKIPS, Topic, topics_of
from eventbus.model.messages import message


@message(topic="parcel.commands", key="id", schema="SendParcel.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class SendParcel(Command):
    id: str


@message(topic="depot.answers", key="id", schema="Weighed.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed(Event):
    id: str


@message(topic="shop.events", key="id", schema="Sold.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class Sold(Event):
    id: str


def decider(log: str, *inputs: type[Message]) -> Decider[Any]:
    return Decider(log, inputs, None, lambda m, s: [], lambda s, e: s)


BESIDE = (
    Topic.waiting("parcel.retry"),
    Topic.letters("parcel.dlq"),
    Topic.passing("parcel.admin"),
    SKIPS,
)


def test_a_service_has_its_log_its_inputs_that_are_no_log_and_what_fails() -> None:
    deciders = [decider("parcel.events", SendParcel, Weighed, Sold)]
    assert topics_of("parcel", deciders) == (
        Topic.log("parcel.events"),
        Topic.passing("parcel.commands"),
        Topic.passing("depot.answers"),
        *BESIDE,
    )


def test_a_topic_that_two_deciders_need_is_there_once() -> None:
    deciders = [decider("parcel.events", SendParcel), decider("van.events", SendParcel)]
    assert topics_of("parcel", deciders) == (
        Topic.log("parcel.events"),
        Topic.log("van.events"),
        Topic.passing("parcel.commands"),
        *BESIDE,
    )


def test_a_service_needs_the_topics_that_it_sends_to_and_makes_none_of_them() -> None:
    sender = replace(decider("parcel.events", Sold), sends=(Weighed,))
    service = Service("parcel", (sender,), (), sends=(SendParcel,))
    assert {"depot.answers", "parcel.commands"} <= set(service.topics())
    assert topics_of("parcel", service.deciders) == (Topic.log("parcel.events"), *BESIDE)


def test_a_log_whose_name_does_not_say_so_is_refused() -> None:
    with pytest.raises(ValueError, match=r"parcel writes the log parcel.log: .* ends in \.events"):
        topics_of("parcel", [decider("parcel.log", SendParcel)])


PARCEL = """
from eventbus import Decider, Service

def decider(log):
    return Decider(log, (), None, lambda m, s: [], lambda s, e: s)

ready = Service("parcel", (decider("parcel.events"),), ())
misnamed = Service("parcel", (decider("parcel.log"),), ())
number = 3

def service():
    return ready

def broken():
    raise ValueError("PARCEL_SIZE is not a number")

def wants(size):
    return ready
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package in the current folder, and no Kafka."""
    (tmp_path / "parcelshop").mkdir()
    (tmp_path / "parcelshop" / "wired.py").write_text(PARCEL)
    (tmp_path / "parcelshop" / "lacking.py").write_text("from absent_package import nothing\n")
    (tmp_path / "parcelshop" / "wrong.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.setenv("EVENTBUS_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    yield
    for name in [name for name in sys.modules if name.startswith("parcelshop")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("--no-such-thing", 2, "No such option"),
        ("parcelshop.wired", 2, "parcelshop.wired names no service: give package.module:attribute."),
        ("parcelshop/wired:service", 2, "names no service"),
        ("parcelshop.none:service", 2, "there is no module parcelshop.none"),
        ("nowhere.wired:service", 2, "there is no module nowhere"),
        ("parcelshop.lacking:service", 2, "there is no module absent_package"),
        ("parcelshop.wrong:service", 2, "importing parcelshop.wrong failed: ZeroDivisionError"),
        ("parcelshop.wired:none", 2, "parcelshop.wired has no attribute none"),
        ("parcelshop.wired:number", 2, "parcelshop.wired:number is int, not a Service or a function"),
        ("parcelshop.wired:broken", 2, "calling broken() failed: ValueError: PARCEL_SIZE is not a number"),
        ("parcelshop.wired:wants", 2, "calling wants() failed: TypeError"),
        ("parcelshop.wired:misnamed", 2, "parcel writes the log parcel.log"),
    ],
)
def test_what_names_no_service_is_refused_in_one_sentence(
    shop: None, capsys: pytest.CaptureFixture[str], text: str, code: int, says: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["topics", "create", text])
    assert ended.value.code == code
    printed = capsys.readouterr()
    assert says in printed.err and "Traceback" not in printed.err and not printed.out


@pytest.mark.parametrize("attribute", ["ready", "service"])
def test_without_kafka_nothing_is_created_and_the_broker_is_named(
    shop: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, attribute: str
) -> None:
    monkeypatch.setattr("eventbus.kafka.topics.TIMEOUT", 1.0)
    with pytest.raises(SystemExit) as ended:
        main(["topics", "create", f"parcelshop.wired:{attribute}"])
    assert ended.value.code == 3
    assert "127.0.0.1:1" in capsys.readouterr().err


def test_help_creates_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["topics", "create", "--help"])
    assert ended.value.code == 0
    assert "IMPORT..." in capsys.readouterr().out
