"""A bus answers from the beginning: 503 until Kafka has answered, then what this replica and the brokers know."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eventbus import Bus, Command, Event, Settings, Unavailable
from eventbus.codec import Codec
from eventbus.kafka.health import BrokerHealth
from eventbus.model.decider import Decider
from eventbus.model.messages import message
from eventbus.model.places import Partition
from eventbus.model.record import Raw
from eventbus.processing.follower import Stop
from eventbus.retry.parked import Parked, State
from eventbus.service.answers import Answer, Sent
from eventbus.service.bus import BusParts
from eventbus.service.consistency import Consistency
from eventbus.service.local_state import LocalState
from eventbus.service.new_keys import NewKeys
from eventbus.service.progress import Progress
from eventbus.service.published import Published
from eventbus.service.reader import Reader
from eventbus.service.sender import Sender, Written
from eventbus.state.store import Store

TOPIC, LOG, RETRY = "order.commands", "order.events", "order.retry"
PARTITION = Partition(TOPIC, 0)
OWN, OWN_RETRY = Partition(LOG, 0), Partition(RETRY, 0)


@message(topic=TOPIC, key="order_id", schema="Ask.v1")
@dataclass(frozen=True)
class Ask(Command):
    order_id: str


@message(topic=TOPIC, key="order_id", schema="Other.v1")
@dataclass(frozen=True)
class Other(Command):
    order_id: str


@message(topic=LOG, key="order_id", schema="Answered.v1")
@dataclass(frozen=True)
class Answered(Event):
    order_id: str


@dataclass(frozen=True)
class Nothing:
    """No state."""


DECIDER: Decider[Nothing] = Decider(
    log=LOG, inputs=(Ask,), initial=Nothing(), decide=lambda m, s: [], evolve=lambda s, e: s
)
AWAY = "this replica has not reached Kafka yet"


class Brokers:
    """Answers the questions of a probe; counts them."""

    def __init__(self) -> None:
        self.ends: dict[Partition, int] = {}
        self.decided_by_the_group = -1
        self.away = False
        self.asked = 0
        self.slow = asyncio.Event()
        self.slow.set()
        self.asked_for_all = asyncio.Event()

    def _answer(self, offset: int) -> int:
        self.asked += 1
        if self.away:
            raise Unavailable("Kafka does not answer")
        return offset

    async def end(self, partition: Partition) -> int:
        return self._answer(self.ends.get(partition, 0))

    async def decided(self, partition: Partition) -> int:
        return self._answer(self.decided_by_the_group)

    async def all_ends(self, topic: str, partitions: int) -> dict[Partition, int]:
        asked = {Partition(topic, n): self.ends.get(Partition(topic, n), 0) for n in range(partitions)}
        self._answer(0)
        self.asked_for_all.set()
        await self.slow.wait()
        return asked

    def close(self) -> None: ...


class Writes:
    """A sender that has written commands already."""

    def __init__(self) -> None:
        self.by_partition: dict[Partition, Written] = {}

    def written(self) -> dict[Partition, Written]:
        return self.by_partition

    def close(self) -> None: ...


class Replica:
    """The parts of a bus, with brokers and a sender of the test's own."""

    def __init__(self, directory: Path) -> None:
        self.caught_up = True
        self.positions: dict[Partition, int] = {OWN: 0, OWN_RETRY: 0}
        self.stops: dict[Partition, Stop] = {}
        self.brokers, self.writes, self.health = Brokers(), Writes(), BrokerHealth()
        self.progress = Progress(asyncio.get_running_loop(), {TOPIC}, 1)
        settings = Settings(read_timeout=0.5)
        store = Store(directory / "state.sqlite", [DECIDER], retry=RETRY)
        self.local = LocalState(
            store,
            self.health,
            1,
            lambda: self.positions,
            lambda: self.stops,
            self.progress,
            lambda: self.caught_up,
        )
        reader = Reader(settings, Codec(), self.local)
        sender: Any = self.writes
        probe: Any = self.brokers
        consistency = Consistency("order", settings, self.local, sender, reader, probe)
        self.place = Published[BusParts](AWAY)
        self.parts = BusParts(sender, reader, consistency, probe, NewKeys(1))
        self.bus = Bus("order", settings, self.place, (Ask,))
        self.settings = settings

    def command(self, offset: int) -> Sent:
        """A command that this process wrote."""
        self.progress.expect(PARTITION)
        sent = Sent(*PARTITION, offset, self.progress.placed(PARTITION, offset))
        begin, end = self.writes.by_partition.get(PARTITION, (offset, offset))
        self.writes.by_partition[PARTITION] = Written(begin, max(end, offset + 1))
        return sent


@pytest.fixture
async def replica(tmp_path: Path) -> Replica:
    return Replica(tmp_path)


@pytest.fixture
async def bus(replica: Replica) -> Bus:
    replica.place.publish(replica.parts)
    return replica.bus


CALLS: dict[str, Callable[[Bus], Any]] = {
    "send": lambda bus: bus.send(Ask(order_id="a")),
    "write": lambda bus: bus.write(Ask(order_id="a")),
    "answer": lambda bus: bus.answer(Sent(*PARTITION, 0, Answer()), 1.0),
    "wait": lambda bus: bus.wait(DECIDER, "a", lambda entry: True, 1.0),
    "caught_up": lambda bus: bus.caught_up(TOPIC, "a"),
    "all_caught_up": lambda bus: bus.all_caught_up(TOPIC),
    "all_folded": lambda bus: bus.all_folded(LOG),
    "page": lambda bus: bus.page(DECIDER, limit=1),
    "watch": lambda bus: bus.watch(LOG, "a", lambda: None),
    "folded_up_to": lambda bus: bus.folded_up_to(LOG),
    "read": lambda bus: bus.read(DECIDER, "a"),
    "held": lambda bus: bus.held("a"),
    "held_keys": lambda bus: bus.held_keys(),
    "query": lambda bus: bus.query("SELECT 1"),
    "consult": lambda bus: bus.consult(lambda codec, store, partitions: partitions),
}


@pytest.mark.parametrize("method", CALLS)
async def test_until_kafka_has_answered_every_method_raises_unavailable(
    replica: Replica, method: str
) -> None:
    async def call() -> None:
        result = CALLS[method](replica.bus)
        if isinstance(result, Awaitable):
            await result

    with pytest.raises(Unavailable, match=AWAY):
        await call()


async def test_until_kafka_has_answered_nothing_is_fresh_or_undecided(replica: Replica) -> None:
    assert (replica.bus.fresh(), replica.bus.undecided(TOPIC)) == (False, 0)
    replica.place.publish(replica.parts)
    assert (replica.bus.fresh(), replica.bus.read(DECIDER, "a"), replica.bus.held_keys()) == (True, None, 0)


def test_what_is_published_stays() -> None:
    place = Published[str](AWAY)
    assert place.peek() is None
    place.publish("there")
    assert (place.peek(), place.get()) == ("there", "there")
    with pytest.raises(AssertionError):
        place.publish("another")


async def test_a_replica_that_hears_nothing_still_reads_but_is_not_consulted(
    bus: Bus, replica: Replica
) -> None:
    replica.health.heard_at -= 2 * replica.settings.session_timeout
    assert not bus.fresh()
    assert bus.read(DECIDER, "a") is None
    with pytest.raises(Unavailable, match="has not heard from Kafka"):
        bus.consult(lambda codec, store, partitions: partitions)


async def test_the_key_of_a_stopped_task_is_not_read(bus: Bus, replica: Replica) -> None:
    replica.stops[OWN] = Stop(None, "a record cannot be read")  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match="a record cannot be read"):
        bus.read(DECIDER, "a")


async def test_a_replica_says_why_it_cannot_say_how_things_stand(replica: Replica) -> None:
    assert replica.bus.why_unavailable(LOG, "a") == AWAY
    replica.place.publish(replica.parts)
    assert replica.bus.why_unavailable(LOG, "a") == replica.bus.why_unavailable(LOG) == ""
    replica.caught_up = False
    assert replica.bus.why_unavailable(LOG) == "this replica is catching up"
    replica.stops[OWN] = Stop(None, "a record cannot be read")  # type: ignore[arg-type]
    assert "a record cannot be read" in replica.bus.why_unavailable(LOG, "a")
    assert "a record cannot be read" in replica.bus.why_unavailable(LOG)
    replica.health.heard_at -= 2 * replica.settings.session_timeout
    assert "has not heard from Kafka" in replica.bus.why_unavailable(LOG, "a")
    replica.bus.end()
    assert replica.bus.why_unavailable(LOG) == "this replica stops"


async def test_what_is_folded_is_counted_for_each_partition(bus: Bus, replica: Replica) -> None:
    assert bus.folded_up_to(LOG) == [0]
    replica.local.store.write({}, [], {OWN: 7})
    assert bus.folded_up_to(LOG) == [7]


async def test_a_command_that_the_service_does_not_declare_is_refused_by_name(bus: Bus) -> None:
    with pytest.raises(
        TypeError, match=r"the HTTP interface of order: it does not declare that it sends Other: name it"
    ):
        await bus.send(Other(order_id="a"))


async def test_a_command_that_cannot_be_encoded_leaves_nothing_under_way(replica: Replica) -> None:
    settings = Settings(bootstrap_servers="127.0.0.1:1", send_timeout=0.1)
    sender = Sender("order", settings, Codec(), asyncio.get_running_loop(), replica.local)
    try:
        with pytest.raises(TypeError, match="no schema package"):
            await sender.send(Ask(order_id="a"), None, None)
        assert not replica.progress._answers._under_way
        assert not sender.written()
    finally:
        await asyncio.to_thread(sender.close)


async def test_commands_count_as_undecided_until_they_are_decided_here(bus: Bus, replica: Replica) -> None:
    for offset in (10, 11, 14):
        replica.command(offset)
    assert bus.undecided(TOPIC) == 5, "those of others between count too, those before do not"
    assert bus.undecided("another.topic") == 0
    replica.progress.publish([], {PARTITION: 12})
    assert bus.undecided(TOPIC) == 3
    replica.progress.publish([], {PARTITION: 20})
    assert bus.undecided(TOPIC) == 0


async def test_a_command_that_another_replica_decided_without_an_event_is_answered_and_counts_no_more(
    bus: Bus, replica: Replica
) -> None:
    sent = replica.command(3)
    replica.brokers.decided_by_the_group = 4
    assert await bus.answer(sent, 5.0) == []
    assert bus.undecided(TOPIC) == 0


async def test_a_decision_elsewhere_counts_only_once_its_events_can_be_folded_here(
    bus: Bus, replica: Replica
) -> None:
    """The log ends behind what this replica has folded: an event of the command may be there."""
    sent = replica.command(3)
    replica.brokers.decided_by_the_group = 4
    replica.brokers.ends = {OWN: 8}
    with pytest.raises(TimeoutError):
        await bus.answer(sent, 0.5)
    replica.positions = {OWN: 8, OWN_RETRY: 0}
    assert await bus.answer(sent, 5.0) == []


async def test_a_command_that_the_group_has_not_committed_is_not_decided(bus: Bus, replica: Replica) -> None:
    sent = replica.command(3)
    replica.brokers.decided_by_the_group = 3
    with pytest.raises(TimeoutError):
        await bus.answer(sent, 0.5)
    assert bus.undecided(TOPIC) == 1


async def test_brokers_that_do_not_answer_decide_nothing(bus: Bus, replica: Replica) -> None:
    replica.brokers.away = True
    with pytest.raises(TimeoutError):
        await bus.answer(replica.command(3), 0.4)
    with pytest.raises(Unavailable, match=f"has not caught up with {TOPIC}"):
        await bus.caught_up(TOPIC, "a")
    assert replica.brokers.asked > 1


async def test_a_lost_answer_is_never_taken_for_none(bus: Bus) -> None:
    with pytest.raises(TimeoutError, match="were dropped"):
        await bus.answer(Sent(*PARTITION, 3, Answer(lost=True)), 5.0)


async def test_events_that_came_are_the_answer(bus: Bus) -> None:
    answered = Answered(order_id="a")
    assert await bus.answer(Sent(*PARTITION, 3, Answer([answered])), 5.0) == [answered]


async def test_who_leads_has_caught_up_with_what_is_decided(bus: Bus, replica: Replica) -> None:
    replica.brokers.ends = {PARTITION: 7}
    replica.positions = {}
    replica.progress.publish([], {PARTITION: 6})
    asked = asyncio.create_task(bus.caught_up(TOPIC, "a"))
    done, _ = await asyncio.wait({asked}, timeout=0.1)
    assert not done, "one record is not decided"
    replica.progress.publish([], {PARTITION: 7})
    await asyncio.wait_for(asked, 5.0)
    assert replica.brokers.asked == 1, "a leader asks for the end, and knows the rest by itself"


async def test_a_parked_command_of_the_key_is_not_decided_and_that_of_another_key_does_not_count(
    bus: Bus, replica: Replica
) -> None:
    replica.brokers.ends = {PARTITION: 4}
    replica.positions = {}
    replica.progress.publish([], {PARTITION: 4})
    raw = Raw(*PARTITION, 3, b"a", b"", [], 0)
    parked = Parked(raw, LOG, "a", 1, State.DEAD, 1, 0, 0)
    replica.local.store.write({}, [], {}, [(RETRY, parked)])
    with pytest.raises(Unavailable, match="waits for another try, or for a person"):
        await bus.caught_up(TOPIC, "a")
    await bus.caught_up(TOPIC, "b")
    replica.local.store.write({}, [], {}, [(RETRY, dataclasses.replace(parked, state=State.DISCARDED))])
    await bus.caught_up(TOPIC, "a")


async def test_who_follows_has_caught_up_once_the_own_logs_are_folded_to_their_ends(
    bus: Bus, replica: Replica
) -> None:
    replica.brokers.ends = {PARTITION: 7, OWN: 5}
    replica.brokers.decided_by_the_group = 7
    replica.positions = {OWN: 4, OWN_RETRY: 0}
    asked = asyncio.create_task(bus.caught_up(TOPIC, "a"))
    done, _ = await asyncio.wait({asked}, timeout=0.1)
    assert not done, "one event is not folded"
    replica.positions = {OWN: 5, OWN_RETRY: 0}
    await asyncio.wait_for(asked, 5.0)


async def test_all_is_caught_up_once_every_partition_is_decided_to_the_end_it_had(
    bus: Bus, replica: Replica
) -> None:
    replica.brokers.ends = {PARTITION: 7}
    replica.positions = {}
    replica.progress.publish([], {PARTITION: 6})
    asked = asyncio.create_task(bus.all_caught_up(TOPIC))
    done, _ = await asyncio.wait({asked}, timeout=0.1)
    assert not done, "one record is not decided"
    replica.progress.publish([], {PARTITION: 7})
    await asyncio.wait_for(asked, 5.0)
    replica.brokers.ends = {PARTITION: 8}
    with pytest.raises(Unavailable, match=f"has not caught up with {TOPIC}"):
        await bus.all_caught_up(TOPIC)


async def test_what_was_once_known_is_known_without_another_question(bus: Bus, replica: Replica) -> None:
    """A replica that follows asks four questions to learn it. No fold goes back, so it stays known."""
    replica.brokers.ends = {PARTITION: 7, OWN: 5}
    replica.brokers.decided_by_the_group = 7
    replica.positions = {OWN: 5, OWN_RETRY: 0}
    await bus.all_caught_up(TOPIC)
    before = replica.brokers.asked
    await bus.all_caught_up(TOPIC)
    assert replica.brokers.asked == before + 1, "only where the topic ends now"
    replica.brokers.ends[PARTITION] = 8
    with pytest.raises(Unavailable):
        await bus.all_caught_up(TOPIC)


async def test_an_own_log_is_known_once_it_is_folded_to_the_end_it_had(bus: Bus, replica: Replica) -> None:
    replica.brokers.ends = {OWN: 5}
    replica.positions = {OWN: 4, OWN_RETRY: 0}
    asked = asyncio.create_task(bus.all_folded(LOG))
    done, _ = await asyncio.wait({asked}, timeout=0.1)
    assert not done, "one event is not folded"
    replica.positions = {OWN: 5, OWN_RETRY: 0}
    await asyncio.wait_for(asked, 5.0)


async def test_who_leads_has_folded_its_log_and_who_neither_leads_nor_follows_has_not(
    bus: Bus, replica: Replica
) -> None:
    """A replica that has just started follows nothing before it knows which records are skipped."""
    replica.brokers.ends = {OWN: 5}
    replica.positions = {}
    with pytest.raises(Unavailable, match=f"has not caught up with {LOG}"):
        await bus.all_folded(LOG)
    replica.progress.publish([], {PARTITION: 0})
    await bus.all_folded(LOG)


async def test_who_asks_at_one_time_asks_once_and_never_gets_an_answer_older_than_the_question(
    bus: Bus, replica: Replica
) -> None:
    replica.positions = {}
    replica.progress.publish([], {PARTITION: 0})
    replica.brokers.slow.clear()
    first = asyncio.create_task(bus.all_caught_up(TOPIC))
    await asyncio.wait_for(replica.brokers.asked_for_all.wait(), 5.0)
    # What is written now is not part of the first answer.
    replica.brokers.ends = {PARTITION: 1}
    later = [asyncio.create_task(bus.all_caught_up(TOPIC)) for _ in range(100)]
    await asyncio.sleep(0)
    later[0].cancel()
    replica.brokers.slow.set()
    await asyncio.wait_for(first, 5.0)
    done, _ = await asyncio.wait(later[1:], timeout=0.1)
    assert not done, "they wait for the record that came before they asked"
    replica.progress.publish([], {PARTITION: 1})
    await asyncio.wait_for(asyncio.gather(*later[1:]), 5.0)
    assert replica.brokers.asked == 2


async def test_a_question_that_fails_fails_for_its_round_only(bus: Bus, replica: Replica) -> None:
    replica.positions = {}
    replica.progress.publish([], {PARTITION: 0})
    replica.brokers.away = True
    asked = await asyncio.gather(*(bus.all_caught_up(TOPIC) for _ in range(5)), return_exceptions=True)
    assert [type(one) for one in asked] == [Unavailable] * 5
    replica.brokers.away = False
    await bus.all_caught_up(TOPIC)


async def test_the_keys_of_a_stopped_task_are_not_listed(bus: Bus, replica: Replica) -> None:
    replica.stops[OWN] = Stop(None, "a record cannot be read")  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match="a record cannot be read"):
        bus.page(DECIDER, limit=1)
