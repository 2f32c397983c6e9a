"""Chaos without brokers: what its schedule promises, what it does if a fault cannot be done, what it reports."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from eventbus.codec import Codec
from eventbus.model.places import Position
from eventbus.model.record import Headers, Raw
from eventbus.retry.parked import ERRORS
from tools.arrivals import Settled
from verification.audit.findings import DeadLetter
from verification.audit.judge import AuditResult
from verification.chaos.cluster import ChaosCluster
from verification.chaos.faults import FaultLog, LandedFault, carry_out
from verification.chaos.hostile_bursts import HostileBursts, HostileResult
from verification.chaos.order_ends import OrderEnds
from verification.chaos.order_load import LoadResult
from verification.chaos.report import ChaosResult, table
from verification.chaos.rolling_upgrade import RollingUpgrade, UpgradeResult
from verification.chaos.schedule import BROKER_REST, KINDS, TOPICS, UPGRADE, Fault, Kind, missing, schedule
from verification.hostile.catalogue import FAMILIES, HEAVY, Catalogue
from verification.hostile.consequences import EVENTS, LETTER, PASSED_OVER, Consequences
from verification.hostile.record import Hostile
from verification.hostile.wire import crc32c
from verification.trees import Release

SERVICES = [f"{name}-{n}" for name in ("order", "payment", "inventory", "notification") for n in range(2)]
BROKERS = ["broker-1", "broker-2", "broker-3"]
FREEZE = Kind("freeze", "broker")


def planned(seed: int, seconds: float) -> list[Fault]:
    return schedule(str(seed), seconds, SERVICES, BROKERS, ["simulator"])


@pytest.mark.parametrize("seconds", [18, 20, 45, 180])
def test_every_kind_of_fault_is_planned_at_least_once(seconds: float) -> None:
    for seed in range(300):
        assert missing(fault.kind for fault in planned(seed, seconds)) == [], seed


def test_a_run_that_is_too_short_for_every_kind_says_which() -> None:
    assert Kind("kill", "broker") in missing(fault.kind for fault in planned(1, 10))


@pytest.mark.parametrize("seconds", [10, 20, 180])
def test_faults_are_over_before_the_load_and_never_hurt_two_brokers_at_once(seconds: float) -> None:
    for seed in range(300):
        faults = planned(seed, seconds)
        assert all(fault.end <= seconds for fault in faults), seed
        brokers = [fault for fault in faults if fault.kind.group == "broker"]
        for before, after in itertools.pairwise(brokers):
            assert after.at >= before.end + BROKER_REST - 0.2, (seed, before, after)


def test_brokers_are_frozen_for_three_to_five_seconds() -> None:
    lengths = [f.seconds for seed in range(300) for f in planned(seed, 60) if f.kind == FREEZE]
    assert len(lengths) >= 300
    assert min(lengths) >= 3.0 and max(lengths) <= 5.0


@pytest.mark.parametrize("seconds", [10, 60, 180])
def test_an_upgrade_begins_first_and_once_and_others_come_amid_it(seconds: float) -> None:
    for seed in range(100):
        first, *others = planned(seed, seconds)
        assert first == Fault(round(seconds / 9, 1), UPGRADE, "all services", 0.0)
        assert others and all(fault.kind != UPGRADE for fault in others)


def test_the_same_seed_gives_the_same_faults() -> None:
    assert planned(7, 60) == planned(7, 60) != planned(8, 60)


class Broker:
    """Counts what is done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda: self.done.append(name)


def chaos(whole: list[bool]) -> tuple[ChaosCluster, Broker]:
    """A cluster of one broker that is in sync when ``whole`` says so, asked once a fault."""
    broker = Broker()
    cluster = SimpleNamespace(brokers=[broker], is_whole=lambda timeout: whole.pop(0) if whole else False)
    return cast(ChaosCluster, SimpleNamespace(cluster=cluster, child=lambda name: broker)), broker


def done_by(
    chaos: ChaosCluster, faults: list[Fault], seconds: float, upgrades: list[str] | None = None
) -> FaultLog:
    upgrades = [] if upgrades is None else upgrades
    bursts = cast(HostileBursts, SimpleNamespace(write_burst=lambda: None))
    upgrade = cast(RollingUpgrade, SimpleNamespace(begin=lambda: upgrades.append("begun")))
    return carry_out(chaos, faults, time.monotonic(), seconds, bursts, upgrade, lambda line: None)


def test_a_fault_that_cannot_be_done_is_tried_again_until_its_kind_lands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("verification.chaos.faults.AGAIN", 0.01)
    where, broker = chaos([False, False, True])

    fault_log = done_by(where, [Fault(0.0, FREEZE, "broker-1", 0.01)], 0.2)

    assert broker.done == ["pause", "resume"]
    assert (len(fault_log.of(FREEZE)), fault_log.left_out[FREEZE]) == (1, 0)


def test_a_fault_whose_kind_has_landed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    where, _broker = chaos([True, False])
    faults = [Fault(0.0, FREEZE, "broker-1", 0.01), Fault(0.05, FREEZE, "broker-1", 0.01)]

    fault_log = done_by(where, faults, 0.1)

    assert (len(fault_log.of(FREEZE)), fault_log.left_out[FREEZE]) == (1, 1)


def test_the_upgrade_is_begun_and_lasts_until_it_is_over() -> None:
    where, _broker = chaos([])
    begun: list[str] = []

    fault_log = done_by(where, [Fault(0.0, UPGRADE, "all services", 0.0)], 0.05, begun)

    assert begun == ["begun"]
    (landed,) = fault_log.of(UPGRADE)
    fault_log.lasted(UPGRADE, landed.began + 9.0)
    assert fault_log.spans == [(landed.began, landed.began + 9.0)]


class Replicas:
    """Processes of two services that move at once, or never end (``stuck``)."""

    def __init__(self, stuck: str = "") -> None:
        self.replicas = {"order": ["order-0", "order-1"], "payment": ["payment-0"]}
        self.children = self
        self.stuck = stuck
        self.moves: list[tuple[str, str]] = []
        self.killed: list[str] = []
        self.code: dict[str, Path] = {}

    def move(self, name: str, tree: Path) -> None:
        self.moves.append((name, tree.name))
        if name != self.stuck:
            self.code[name] = tree

    def child(self, name: str) -> Any:
        return SimpleNamespace(running=self.code.get(name), kill=lambda: self.killed.append(name))

    def url(self, name: str) -> str:
        return name


def upgraded(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> UpgradeResult:
    monkeypatch.setattr("verification.chaos.rolling_upgrade.is_ready", lambda url: True)
    monkeypatch.setattr("verification.chaos.rolling_upgrade.PATIENCE", 0.01)
    release = Release(Path("held"), Path("released"))
    upgrade = RollingUpgrade(cast(ChaosCluster, replicas), release, lambda line: None)
    upgrade.begin()
    return upgrade.end(5.0)


def test_an_upgrade_moves_one_replica_of_a_service_at_a_time_and_all_are_held_before_one_is_released(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replicas = Replicas()
    result = upgraded(replicas, monkeypatch)

    wave = ["order-0", "payment-0", "order-1"]
    assert replicas.moves == [(name, step) for step in ("held", "released") for name in wave]
    assert result.whole and replicas.killed == []


def test_a_replica_that_cannot_end_begins_its_new_code_after_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    replicas = Replicas(stuck="order-1")
    assert upgraded(replicas, monkeypatch).whole
    assert replicas.killed == ["order-1", "order-1"]


def test_an_upgrade_that_was_not_begun_or_broke_off_is_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not RollingUpgrade(cast(ChaosCluster, Replicas()), Release(Path(), Path()), print).end(0.0).whole
    broken = Replicas()
    broken.move = cast(Any, None)  # type: ignore[method-assign]
    result = upgraded(broken, monkeypatch)
    assert not result.whole and "TypeError" in result.failure
    printed = table(outcome(upgrade=result))
    assert "0 replicas held, 0 replicas released" in printed and "FAILED" in printed


def test_events_in_new_versions_are_counted_by_their_schema_ids() -> None:
    ends = OrderEnds(new_ids={57})
    headers: Headers = [("ce_type", b"OrderConfirmed"), ("ce_cause", b"payment.events-0-1")]
    for value in (b"\0\0\0\0\x39...", b"\0\0\0\0\x12...", b"", None):
        ends.take(Raw("order.events", 0, 1, b"o1", value, headers, 0))
    assert (ends.newer, ends.orders["o1"]["OrderConfirmed"]) == (1, 4)


def test_a_run_is_clean_only_if_every_replica_took_both_steps() -> None:
    verdict = AuditResult(1, 1, True)
    assert outcome(verdict=verdict).clean
    half = UpgradeResult({"held": ["order-0"]}, 1.0, 2.0)
    assert not outcome(verdict=verdict, upgrade=half).clean


def outcome(**more: Any) -> ChaosResult:
    load = LoadResult(began=0.0, ended=20.0)
    load.settled = {
        "a": Settled("FAILED", 8.5),
        "b": Settled("CONFIRMED", 9.25),
        "c": Settled("CONFIRMED", 4.0),
    }
    fault_log = FaultLog([LandedFault(FREEZE, "broker-1", 4.0, 8.0)])
    given = {
        "load": load,
        "fault_log": fault_log,
        "order_ends": OrderEnds(newer=7),
        "verdict": AuditResult(1, 1, True),
        "doubles": [],
        "upgrade": UpgradeResult({"held": ["order-0"], "released": ["order-0"]}, 1.0, 31.0),
    }
    return ChaosResult("Chaos", **{**given, **more})


def test_the_report_says_how_soon_an_order_was_confirmed_after_each_kind_of_fault() -> None:
    (line,) = [line for line in table(outcome()).splitlines() if line.startswith("  freeze broker")]
    assert line.split() == ["freeze", "broker", "1", "0", "1.2", "1.2"]


def test_the_report_names_the_kinds_that_never_landed() -> None:
    printed = table(outcome())
    assert "never landed    rolling upgrade, kill broker, hostile records, kill service" in printed
    assert "1 replicas held, 1 replicas released, in 30 s; 7 events in new versions" in printed


def hostile_result() -> HostileResult:
    places = [Position("order.commands", 0, n) for n in range(3)]
    written = {place: Hostile("garbage bytes", place.topic, 0, b"k", b"v") for place in places}
    return HostileResult(written, 1, Counter({LETTER: 2, PASSED_OVER: 1}), places[:1])


def test_dead_letters_of_hostile_records_are_counted_apart_from_those_of_orders() -> None:
    verdict = AuditResult(1, 1, True)
    verdict.letters = [
        DeadLetter("k", "order", "order.commands-0-1", "order.dlq-0-0", "Poison", 0),
        DeadLetter("o1", "payment", "order.events-0-1", "payment.dlq-0-0", "Retryable", 0),
        DeadLetter("", "order", "?", "order.commands-0-2", "forged as a letter", 0),
    ]

    printed = table(outcome(verdict=verdict, hostile=hostile_result()))

    assert "dead letters    1 (1 payment); no order waits for one" in printed
    assert (
        "hostile records 3 written, 1 not taken by Kafka: 2 became dead letters, 1 were passed over; "
        "the audit named 1, which were set aside" in printed
    )


def test_an_order_that_lacks_something_for_a_dead_letter_is_a_failure_unless_the_record_was_hostile() -> None:
    letter = DeadLetter("o1", "payment", "order.events-0-1", "payment.dlq-0-0", "Retryable", 0)
    hostile = DeadLetter("k", "order", "order.commands-0-1", "order.dlq-0-0", "Poison", 0)
    for letters, clean in (([hostile], True), ([hostile, letter], False)):
        verdict = AuditResult(1, 1, True)
        verdict.letters, verdict.dead = letters, {one.order: [one.place] for one in letters}

        assert outcome(verdict=verdict, hostile=hostile_result()).clean is clean


def test_what_became_of_a_record_is_told_by_dead_letters_and_causes() -> None:
    forged = Position("order.events", 0, 5)
    consequences = Consequences([forged])
    about = {"topic": b"order.commands", "partition": b"0", "offset": b"1"}
    consequences.take(Raw("order.dlq", 0, 0, b"k", b"v", [(f"{ERRORS}{k}", v) for k, v in about.items()], 0))
    consequences.take(Raw("order.events", 0, 4, b"k", b"v", [("cause", b"order.commands-0-2")], 0))
    consequences.take(Raw("order.events", 0, 5, b"k", b"v", [("cause", b"order.commands-0-3")], 0))

    places = [Position("order.commands", 0, offset) for offset in (1, 2, 3)]

    assert [consequences.of(place) for place in places] == [LETTER, EVENTS, PASSED_OVER]


def test_a_burst_has_every_kind_and_reaches_every_input() -> None:
    made = SimpleNamespace(kafka=None)
    burst = list(HostileBursts(cast(ChaosCluster, made), "7")._burst())

    assert {record.kind for record in burst} == {kind for family in FAMILIES for kind in family.kinds}
    assert set(FAMILIES[0].topics) <= {record.topic for record in burst}
    assert len(burst) < 120
    heavy = Counter(record.kind for record in burst if record.kind in HEAVY)
    assert set(heavy.values()) == {1}


def test_the_catalogue_spares_what_others_act_upon() -> None:
    """A sound OrderCreated in order's log would be charged: nobody can tell that order did not write it."""
    codec = Codec("schemas")
    for record in Catalogue(6).all_of(*FAMILIES[:2]):
        if record.topic == "order.events" and record.value and len(record.value) < 1_000:
            names = [value for name, value in record.headers if name == b"ce_type"]
            sound = record.kind.startswith(("key version", "header", "time"))
            assert not (sound and names == [b"OrderCreated"]), record
            assert codec.name_of(record.value) if sound else True


def test_the_checksum_is_crc_32c() -> None:
    assert crc32c(b"123456789") == 0xE3069283


def test_the_kinds_include_hostile_records() -> None:
    assert str(Kind("hostile", TOPICS)) == "hostile records"
    assert len(KINDS) == 8
