"""How often each order was created and settled, by the order log alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from eventbus.model.record import Raw
from eventbus.settings import Settings
from verification.audit.reading import AuditReader

ONCE = ("OrderCreated", "OrderConfirmed", "OrderCompleted", "OrderFailed", "OrderCancelled")
SETTLING = ONCE[1:]


@dataclass
class OrderEnds:
    """By order id, how often each type of event stands in ``order.events``; and how many have one of ``new_ids``."""

    orders: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    new_ids: Collection[int] = ()
    """The schema ids of the next release."""
    newer: int = 0

    def take(self, raw: Raw) -> None:
        """Count one record, if it is an event that order wrote."""
        kind, cause = raw.header("ce_type"), raw.extension("cause")
        if raw.topic == "order.events" and raw.key is not None and kind is not None and cause is not None:
            self.orders[raw.key.decode("utf-8", "backslashreplace")][kind] += 1
            self.newer += int.from_bytes((raw.value or b"")[1:5], "big") in self.new_ids

    def lost(self, accepted: Collection[str]) -> list[str]:
        """Orders that were answered 202 but do not stand in the log."""
        return sorted(o for o in accepted if not self.orders.get(o, Counter())["OrderCreated"])

    def doubled(self) -> list[str]:
        """Orders created or settled twice in the same way, or in two that exclude each other."""
        return sorted(o for o, kinds in self.orders.items() if _twice(kinds))

    def stuck(self) -> list[str]:
        """Orders created and not settled."""
        return sorted(
            o
            for o, kinds in self.orders.items()
            if kinds["OrderCreated"] and not any(kinds[k] for k in SETTLING)
        )


def _twice(kinds: Counter[str]) -> bool:
    failed_too = kinds["OrderFailed"] and any(kinds[k] for k in SETTLING if k != "OrderFailed")
    gone_and_back = kinds["OrderCompleted"] and kinds["OrderCancelled"]
    return any(kinds[k] > 1 for k in ONCE) or bool(failed_too or gone_and_back)


def read(settings: Settings, new_ids: Collection[int] = ()) -> OrderEnds:
    """Everything committed up to now. Raises KafkaAway."""
    ends, topics = OrderEnds(new_ids=new_ids), AuditReader(settings)
    try:
        topics.read(topics.ends(("order.events",)), ends.take)
    finally:
        topics.close()
    return ends
