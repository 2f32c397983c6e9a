"""The bare notification service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import Message

from bench.bare.flow.records import Output, Outputs, inputs
from bench.bare.flow.service import Service


class Notification(Service):
    """Writes a line to a file for each order that was created, and for each that is confirmed."""

    reads = ("order.events", "inventory.events", "payment.events")
    rest = 0.2

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._file = (folder / "letters").open("a")

    def decide(self, batch: Sequence[Message]) -> Sequence[Output]:
        outputs = Outputs("notification")
        for one in inputs(batch, ("OrderCreated", "OrderConfirmed")):
            order = one.fields["orderId"]
            letter = f"{order}:{one.name}"
            self._file.write(f"{letter}\n")
            sent = {
                "orderId": order,
                "kind": one.name,
                "messageId": letter,
                "channel": "log",
                "recipient": None,
                "language": None,
            }
            version = 1 if one.name == "OrderCreated" else 2
            outputs.add("notification.events", "NotificationSent", one.key, sent, one, version, 0)
            self.changed[order] = version
        self._file.flush()
        return outputs
