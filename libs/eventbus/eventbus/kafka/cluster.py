"""What a cluster says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from eventbus.kafka.clients import common
from eventbus.model.errors import Misconfigured, Unavailable
from eventbus.settings import Settings


class Cluster:
    """What the cluster says of itself: its id, and the id and partition count of topics."""

    def __init__(
        self, settings: Settings, topics: list[str], beside: Sequence[str] = (), timeout: float = 10.0
    ) -> None:
        """``topics`` have one number of partitions, those ``beside`` any. Raises Unavailable or Misconfigured."""
        from confluent_kafka import TopicCollection

        admin = AdminClient(common(settings))
        # A log that another decider of the service reads is named twice; Kafka refuses that.
        names = [settings.topic(t) for t in dict.fromkeys((*topics, *beside))]
        try:
            self.id = str(admin.list_topics(timeout=timeout).cluster_id)
            described = admin.describe_topics(TopicCollection(names), request_timeout=timeout)
        except KafkaException as exception:
            raise Unavailable(
                f"no answer from the brokers at {settings.bootstrap_servers}: {exception.args[0].str()}. "
                "Is this their address (EVENTBUS_BOOTSTRAP_SERVERS), and do they run?"
            ) from exception
        found = _described(described, settings.bootstrap_servers)
        self.topic_ids = {t: str(found[settings.topic(t)].topic_id) for t in topics}
        counts = {t: len(found[settings.topic(t)].partitions) for t in topics}
        if len(set(counts.values())) != 1:
            raise Misconfigured(
                f"co-partitioned topics must have the same number of partitions, found {counts}"
            )
        self.partitions = next(iter(counts.values()))


def _described(futures: Mapping[str, Any], servers: str) -> dict[str, Any]:
    """What the cluster says of each topic. Raises Unavailable, which names those that are missing."""
    found: dict[str, Any] = {}
    missing: list[str] = []
    for name, future in futures.items():
        try:
            found[name] = future.result()
        except KafkaException as exception:
            error = exception.args[0]
            if error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise Unavailable(
                    f"cannot describe the topic {name} at {servers}: {error.str()}"
                ) from exception
            missing.append(name)
    if missing:
        raise Unavailable(
            f"missing at {servers}: {', '.join(missing)}. Create them with "
            "`eventbus topics create package.module:service`, under the same EVENTBUS_TOPIC_PREFIX"
        )
    return found
