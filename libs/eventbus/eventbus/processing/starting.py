"""Where a task begins whose consumer group has committed nothing yet.

A service with effects outside does not want all of history in its first seconds. So the logs of other services may
begin later (:attr:`eventbus.service.definition.Service.start_from`). Commands, answers and own logs are always read
from their oldest record: somebody waits for what they lead to.

The position is found once, when a task is taken over for the first time, and is committed before any input of it is
read. So a replica that dies, and a task that moves to another replica, skip nothing that came after it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from eventbus.kafka.records import committed_of, end_of
from eventbus.model.decider import Decider
from eventbus.model.errors import Misconfigured
from eventbus.model.messages import Command
from eventbus.model.places import Partition
from eventbus.model.start import Start
from eventbus.processing.follower import Follower
from eventbus.settings import Settings

PATIENCE = 2.0
"""Seconds that one question to the brokers may take."""


class Starting:
    """Finds the first offset of inputs. Lives on the processor's thread."""

    def __init__(
        self,
        start: Start,
        service: str,
        deciders: Iterable[Decider[Any]],
        consumer: Consumer,
        follower: Follower,
        settings: Settings,
        partitions: int,
    ) -> None:
        self._start, self._service, self._consumer, self._follower = start, service, consumer, follower
        self._settings, self._count = settings, partitions
        listed = list(deciders)
        self._inputs = sorted({cls.topic for decider in listed for cls in decider.inputs})
        self._logs = [*(decider.log for decider in listed), f"{service}.retry"]
        self._later = later_topics(service, listed) if start != "earliest" else frozenset()

    def of(self, committed: Mapping[Partition, int]) -> dict[Partition, int]:
        """The first offsets of those inputs that begin later than at their oldest record.

        ``committed``: what the group has committed (negative: never). Raises KafkaException, or Misconfigured if the
        group's offsets are lost.
        """
        new = [place for place, upto in committed.items() if upto < 0 and place.topic in self._later]
        if new and self._start == "now":
            self._require_new_group()
        return {place: self._first(place) for place in new}

    def _first(self, place: Partition) -> int:
        """Of ``now``: the end of what is visible. What an open transaction holds becomes visible later."""
        name = self._settings.topic(place.topic)
        end = end_of(self._consumer, name, place.number, PATIENCE)
        if not isinstance(self._start, int):
            return end
        [found] = self._consumer.offsets_for_times(
            [TopicPartition(name, place.number, self._start)], timeout=PATIENCE
        )
        if found.error is not None:
            raise KafkaException(found.error)
        return found.offset if found.offset >= 0 else end  # negative: all that is there is older

    def _require_new_group(self) -> None:
        """Raises Misconfigured if the service has worked before, but its group has committed nothing anywhere.

        First the logs are asked, then the group: a replica that begins beside this one commits before it writes.
        """
        places = [Partition(log, i) for log in self._logs for i in range(self._count)]
        written = next((place for place in places if self._follower.end(place) > 0), None)
        if written is None:
            return
        named = [TopicPartition(self._settings.topic(t), i) for t in self._inputs for i in range(self._count)]
        if all(tp.offset < 0 for tp in committed_of(self._consumer, named, PATIENCE)):
            raise Misconfigured(
                f"the offsets of the consumer group {self._settings.topic(self._service)} are lost, though {written} "
                "holds records. To start from now would skip what came since then: give a time before that as "
                "start_from. What was answered already is not answered again"
            )


def later_topics(service: str, deciders: Collection[Decider[Any]]) -> frozenset[str]:
    """The inputs that may begin later: event logs of other services."""
    own = {decider.log for decider in deciders}
    inputs = [cls for decider in deciders for cls in decider.inputs]
    commanded = {cls.topic for cls in inputs if issubclass(cls, Command)}
    return frozenset(
        cls.topic
        for cls in inputs
        if cls.topic not in own | commanded and not cls.topic.startswith(f"{service}.")
    )
