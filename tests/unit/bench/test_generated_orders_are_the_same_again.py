"""A seed and a time give the same records; another seed gives others. Each order ends as it was meant to."""

from __future__ import annotations

from collections import Counter

from bench.lives import World
from bench.orders import Plan, lives
from eventbus.kafka.records import partition_of
from eventbus.model.record import Raw

BEGIN = 1_764_000_000_000
PARTITIONS = 3


def records_of(plan: Plan, partition: int = 1) -> list[Raw]:
    records: list[Raw] = []
    world = World(partition, PARTITIONS, records.append, plan.services)
    for begin, commands in lives(plan, partition, PARTITIONS):
        world.now = max(world.now, begin)
        world.live(*commands)
    return records


def names(records: list[Raw]) -> Counter[str]:
    return Counter(record.header("ce_type") or "" for record in records)


def test_a_seed_gives_the_same_records_down_to_the_byte() -> None:
    plan = Plan(orders=60, seed=7, begin=BEGIN)
    assert records_of(plan) == records_of(plan)
    assert records_of(plan) != records_of(Plan(orders=60, seed=8, begin=BEGIN))


def test_each_record_stands_where_its_key_and_its_cause_belong() -> None:
    ends: Counter[str] = Counter()
    seen = set()
    for record in records_of(Plan(orders=60, seed=7, begin=BEGIN)):
        assert record.key is not None
        assert partition_of(record.key, PARTITIONS) == record.partition == 1
        assert record.offset == ends[record.topic]
        cause = record.header("ce_cause")
        assert cause is None or cause in seen
        ends[record.topic] += 1
        seen.add(record.coordinates)


def test_what_follows_from_a_message_has_its_correlation_and_its_id_as_cause() -> None:
    plan = Plan(orders=60, seed=7, begin=BEGIN, ends=(("CANCELLED", 1),))
    written = {record.coordinates: record for record in records_of(plan)}
    caused = [record for record in written.values() if record.header("ce_cause")]
    assert len(caused) > 200
    for record in caused:
        cause = written[record.header("ce_cause") or ""]
        assert record.header("ce_correlationid") == cause.header("ce_correlationid")
        assert record.header("ce_causationid") == cause.header("ce_id")


def test_orders_end_as_they_are_meant_to() -> None:
    meant = {"CONFIRMED": "OrderConfirmed", "COMPLETED": "OrderCompleted", "CANCELLED": "OrderCancelled"}
    for end, event in (*meant.items(), ("DECLINED", "PaymentFailed"), ("SHORT", "InventoryFailed")):
        found = names(records_of(Plan(orders=30, seed=7, begin=BEGIN, ends=((end, 1),))))
        assert found["OrderCreated"] == found[event] == 10
        assert found["OrderFailed"] == (10 if end in ("DECLINED", "SHORT") else 0)


def test_a_service_that_has_not_worked_yet_leaves_no_record() -> None:
    plan = Plan(orders=30, seed=7, begin=BEGIN, services=("order",), ends=(("CONFIRMED", 1),))
    assert set(names(records_of(plan))) == {"AdjustStock", "CreateOrder", "OrderCreated"}


def test_a_partition_without_orders_has_no_records() -> None:
    assert records_of(Plan(orders=1, seed=7, begin=BEGIN), partition=2) == []
    assert records_of(Plan(orders=1, seed=7, begin=BEGIN), partition=0)
