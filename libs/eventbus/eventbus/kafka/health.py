"""What the client's statistics say: whether the brokers are heard, and how far behind this replica is.

Source: librdkafka, STATISTICS.md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from eventbus.metrics import LAG
from eventbus.model.places import Partition


class BrokerHealth:
    """When the brokers were last heard. Read from any thread."""

    def __init__(self) -> None:
        self.heard_at = time.monotonic()

    def update(self, statistics: Mapping[str, Any]) -> None:
        """Take what the client says of its connections."""
        brokers = statistics.get("brokers", {}).values()
        idle = [b["rxidle"] for b in brokers if b.get("state") == "UP" and b.get("rxidle", -1) >= 0]
        if idle:
            self.heard_at = max(self.heard_at, time.monotonic() - min(idle) / 1e6)

    def silent_for(self) -> float:
        """Seconds since the last byte from a broker."""
        return time.monotonic() - self.heard_at


class Lag:
    """How many records of each input partition are not decided yet, for the metrics.

    The statistics' own ``consumer_lag`` does not see offsets that are committed in transactions. So the lag is the
    end of the partition less what is decided of it.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.decided: Mapping[Partition, int] = {}
        """By input partition led, the offset up to which everything is decided. Set by the processor."""

    def update(self, statistics: Mapping[str, Any]) -> None:
        """Take what the client says of the ends of partitions."""
        LAG.clear()
        for (topic, number), upto in self.decided.items():
            partitions = statistics.get("topics", {}).get(self._prefix + topic, {}).get("partitions", {})
            end = partitions.get(str(number), {}).get("ls_offset", -1)
            if end >= 0:
                LAG.labels(topic, number).set(max(0, end - max(0, upto)))


def statistics_callback(*updates: Callable[[Mapping[str, Any]], None]) -> Callable[[str], None]:
    """The ``stats_cb`` of a client: parses the statistics, and gives them to each of ``updates``."""

    def callback(text: str) -> None:
        statistics = json.loads(text)
        for update in updates:
            update(statistics)

    return callback
