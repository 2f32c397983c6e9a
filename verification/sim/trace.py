"""What happened in a simulation, as text for people and as a hash that differs between different runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from eventbus.codec import Codec
from eventbus.model.errors import Poison
from eventbus.retry.parked import RETRY
from verification.sim.broker import Stored, Transaction


class Trace:
    """Every line goes into the hash; with ``show`` it is shown too."""

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        self._show, self._hash = show, hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()[:16]

    def line(self, at: int, who: str, what: tuple[object, ...]) -> None:
        """``at`` is ms since the simulation began."""
        self._hash.update(repr((at, who, what)).encode())
        if self._show:
            self._show(f"{at / 1000:8.3f}  {who:<15} {' '.join(map(str, what))}")

    def committed(self, at: int, transaction: Transaction, codec: Codec) -> None:
        """A transaction was committed."""
        facts = [(r.topic, r.partition, r.offset, r.key, r.value) for r in transaction.records]
        self._hash.update(repr((at, transaction.producer, facts, transaction.offsets)).encode())
        if not self._show:
            return
        self._show(f"{at / 1000:8.3f}  {transaction.producer:<15} commits")
        for record in transaction.records:
            self._show(f"{'':26}{_described(record, codec)}")
        for offsets in transaction.offsets.values():
            moved = ", ".join(f"{topic}-{i} to {upto}" for (topic, i), upto in sorted(offsets.items()))
            self._show(f"{'':26}offsets: {moved}")


def _described(record: Stored, codec: Codec) -> str:
    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
    place = f"{record.topic}-{record.partition}-{record.offset}"
    assert record.key is not None
    name, key = headers.get("ce_type", "?"), record.key.decode("utf-8", "backslashreplace")
    if record.topic.endswith(".retry"):
        state = {k.removeprefix(RETRY): v for k, v in headers.items() if k.startswith(RETRY)}
        waits = ", ".join(f"{k} {state[k]}" for k in ("state", "sequence", "attempt"))
        return f"{place}: {name} of {state['log']}/{state['key']} at {key}: {waits}"
    if record.topic.endswith(".dlq"):
        return f"{place}: dead letter, {name} of {key}"
    try:
        body = codec.decode_value(record.value)
    except Poison:
        body = None
    fields = [f"{f}={getattr(body, f)}" for f in _SHOWN_FIELDS if getattr(body, f, None) not in (None, "", 0)]
    version = f" #{headers['ce_keyversion']}" if "ce_keyversion" in headers else ""
    return f"{place}: {name} {key}{version} {' '.join(fields)} ← {headers.get('ce_cause', '?')}"


_SHOWN_FIELDS = ("amount", "product_id", "quantity", "available_qty", "outcome", "stage", "kind", "charge_id")
