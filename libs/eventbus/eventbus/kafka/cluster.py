"""What a cluster says of itself."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import KafkaException
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
        names = [settings.topic(t) for t in (*topics, *beside)]
        try:
            self.id = str(admin.list_topics(timeout=timeout).cluster_id)
            described = admin.describe_topics(TopicCollection(names), request_timeout=timeout)
            found = {name: future.result() for name, future in described.items()}
        except KafkaException as exception:
            raise Unavailable(
                f"cannot describe the topics {', '.join(names)} at {settings.bootstrap_servers}: "
                f"{exception.args[0].str()}. If they do not exist, run `eventbus topics create`."
            ) from exception
        self.topic_ids = {t: str(found[settings.topic(t)].topic_id) for t in topics}
        counts = {t: len(found[settings.topic(t)].partitions) for t in topics}
        if len(set(counts.values())) != 1:
            raise Misconfigured(
                f"co-partitioned topics must have the same number of partitions, found {counts}"
            )
        self.partitions = next(iter(counts.values()))
