"""How the brokers are, and how far behind this replica is: from the statistics of the client."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from eventbus.metrics import LAG


class BrokerHealth:
    """When the brokers were last heard, from librdkafka's statistics. Read from any thread.

    The statistics' own ``consumer_lag`` knows nothing of offsets committed in transactions, so the lag is reckoned
    here: the end of each input partition less what is decided of it.
    """

    def __init__(self, prefix: str = "") -> None:
        self.at = time.monotonic()
        self.decided: Mapping[tuple[str, int], int] = {}
        """By input partition led, the offset up to which everything is decided. Set by the processor."""
        self._prefix = prefix

    def __call__(self, statistics: str) -> None:
        told = json.loads(statistics)
        brokers = told.get("brokers", {}).values()
        LAG.clear()
        for (topic, partition), upto in self.decided.items():
            parts = told.get("topics", {}).get(self._prefix + topic, {}).get("partitions", {})
            end = parts.get(str(partition), {}).get("ls_offset", -1)
            if end >= 0:
                LAG.labels(topic, partition).set(max(0, end - max(0, upto)))
        idle = [b["rxidle"] for b in brokers if b.get("state") == "UP" and b.get("rxidle", -1) >= 0]
        if idle:
            self.at = max(self.at, time.monotonic() - min(idle) / 1e6)

    def silent_for(self) -> float:
        """Seconds since the last byte from a broker."""
        return time.monotonic() - self.at
