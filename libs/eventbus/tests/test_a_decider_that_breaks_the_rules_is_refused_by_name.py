"""What a decider may take and return is checked at the start, when it decides, and by the tests of its rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from eventbus import Message, Poison, Retryable
from eventbus.codec import Codec
from eventbus.model.places import Entity
from eventbus.model.rules import check_definition, check_fields
from eventbus.retry.parked import State
from eventbus.testing import given
from parcels.messages import CourierNoted, ParcelLost, ParcelSent, ParcelWeighed, RecallParcel, SendParcel
from testbed.bench import DLQ, LOG, REACTOR, Answered, Ask, Bench, sent, weighed

OTHER_KEY = CourierNoted(parcel_id="another", note="n")
OTHER_LOG = ParcelSent(parcel_id="a", sender="s")
COMMAND = SendParcel(parcel_id="a", sender="s")
OWN = CourierNoted(parcel_id="a", note="n")


def changed(record: Any, **fields: Any) -> Any:
    """The record with other fields, whatever their types."""
    return dataclasses.replace(record, **fields)


def deciding(*outputs: Any) -> Any:
    return changed(REACTOR, decide=lambda message, life: list(outputs))


WRONG_OUTPUTS = {
    "an event of another key (B4)": (
        OTHER_KEY,
        "CourierNoted has the key 'another', but its input has the key 'a'",
    ),
    "an event of another log": (
        OTHER_LOG,
        "ParcelSent belongs to parcel.events, which only its owner writes",
    ),
    "a command that is not declared": (
        COMMAND,
        "it does not declare that it sends SendParcel: name it in sends=(...)",
    ),
    "no message": ("noted", "'noted' is neither a message nor a request"),
}


@pytest.mark.parametrize(("output", "reason"), WRONG_OUTPUTS.values(), ids=WRONG_OUTPUTS)
def test_a_test_of_the_rules_finds_wrong_outputs(output: Any, reason: str) -> None:
    with pytest.raises(TypeError) as refused:
        given(deciding(OWN, output)).when(weighed("a"))
    assert str(refused.value) == f"{LOG}: {reason}"


def test_a_test_of_the_rules_knows_the_key_that_the_outcome_of_a_call_is_for() -> None:
    """An outcome names no key. It is that of the message or the event before it, or of the first own event."""
    asked = given(changed(REACTOR, decide=lambda message, life: [Ask("a")])).when(weighed("a"))
    asked.decider = deciding(OTHER_KEY)
    for scenario in (asked, given(deciding(OTHER_KEY), OWN), given(deciding(OWN, OTHER_KEY))):
        with pytest.raises(
            TypeError, match="CourierNoted has the key 'another', but its input has the key 'a'"
        ):
            scenario.when(Answered("a"))
    given(deciding(OWN)).when(Answered("a")).then(OWN)


@pytest.mark.parametrize(("output", "reason"), WRONG_OUTPUTS.values(), ids=WRONG_OUTPUTS)
def test_wrong_outputs_are_written_nowhere_and_make_a_dead_letter(
    tmp_path: Path, output: Any, reason: str
) -> None:
    bench = Bench(tmp_path, deciding(OWN, output))
    bench.feed(weighed("a"))

    assert bench.topic(LOG) == []
    [letter] = bench.topic(DLQ)
    assert letter.header("__eventbus.errors.message") == f"{LOG}: {reason}"
    assert bench.context.offsets.unfinished() == 0, "the partition goes on"


def test_outputs_without_an_own_event_and_requests_beside_others_are_refused() -> None:
    with pytest.raises(TypeError, match="outputs without an own event"):
        given(changed(deciding(COMMAND), sends=(SendParcel,))).when(weighed("a"))
    with pytest.raises(TypeError, match="a request stands alone"):
        given(deciding(OWN, Ask("a"))).when(weighed("a"))


def test_a_declared_command_stands_beside_an_own_event() -> None:
    given(changed(deciding(OWN, COMMAND), sends=(SendParcel,))).when(weighed("a")).then(OWN, COMMAND)


def test_an_undeclared_input_is_refused_with_what_is_taken() -> None:
    with pytest.raises(TypeError) as refused:
        given(REACTOR).when(RecallParcel(parcel_id="a", reason="r"))
    assert str(refused.value) == (
        f"{LOG}: RecallParcel is not among the inputs (ParcelLost, ParcelSent, ParcelWeighed)"
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"log": "courier.log"}, "the log courier.log of a decider must end in .events"),
        ({"inputs": (ParcelSent, str)}, "the input <class 'str'> is no message class"),
        ({"sends": (SendParcel, str)}, "it sends <class 'str'>, which is no message class"),
        ({"sends": (ParcelSent,)}, r"ParcelSent belongs to parcel\.events, which only its owner writes"),
        ({"inputs": (ParcelSent,)}, "ParcelLost is settling, but it is not among the inputs"),
    ],
)
def test_a_wrong_definition_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        check_definition(changed(REACTOR, **change))


def test_an_input_of_a_schema_package_that_is_not_given_is_refused_at_the_start() -> None:
    codec = Codec("parcels")
    codec.check_knows((ParcelSent, ParcelLost), LOG)
    with pytest.raises(
        ValueError, match=r"courier\.events takes or sends parcels\.messages\.ParcelWeighed, which is in none"
    ):
        Codec().check_knows((ParcelWeighed,), LOG)


WRONG_FIELDS = [
    (changed(weighed("a"), grams="12"), "ParcelWeighed.grams must be int, not str ('12')"),
    (changed(weighed("a"), grams=None), "ParcelWeighed.grams must be int, not NoneType (None)"),
    (changed(OWN, note=7), "CourierNoted.note must be str, not int (7)"),
]


@pytest.mark.parametrize(("message", "reason"), WRONG_FIELDS)
def test_a_field_of_the_wrong_type_is_refused_with_its_name_when_it_is_encoded(
    message: Message, reason: str
) -> None:
    with pytest.raises(Poison) as refused:
        Codec("parcels").encode(message)
    assert str(refused.value).endswith(reason)


def test_a_field_of_the_wrong_type_is_found_by_a_test_of_the_rules() -> None:
    with pytest.raises(TypeError, match=r"CourierNoted\.note must be str, not int"):
        given(deciding(changed(OWN, note=7))).when(weighed("a"))


def test_a_whole_number_is_no_truth_value_and_no_fraction() -> None:
    for wrong in (True, 1.0):
        with pytest.raises(TypeError, match=r"ParcelWeighed\.grams must be int"):
            check_fields(changed(weighed("a"), grams=wrong))
    check_fields(weighed("a"))


def _raise(*_: Any) -> Sequence[Message]:
    raise ZeroDivisionError("a bug in what records a failure")


@pytest.mark.parametrize(
    "rule", [_raise, lambda *_: [OTHER_KEY]], ids=["it raises", "it returns another key"]
)
def test_a_rule_for_failed_calls_that_breaks_makes_a_dead_letter_and_ends_no_process(
    tmp_path: Path, rule: Callable[..., Sequence[Message]]
) -> None:
    bench = Bench(tmp_path, changed(REACTOR, on_call_failed=rule))
    bench.feed(sent("a"), sent("b"))
    bench.answer("a", Retryable("away"))
    bench.answer("b")

    assert bench.story("b") == ("CourierBooked",)
    [parked] = bench.store.parked.queue(Entity(LOG, "a"))
    assert (parked.state, parked.exception in ("ZeroDivisionError", "TypeError")) == (State.DEAD, True)
    assert len(bench.topic(DLQ)) == 1
