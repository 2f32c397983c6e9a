"""Folds the records of all topics into a history of each order and each product. No I/O.

Records of one partition come in order, topics in any. What is wrong with one record alone is noted at once;
``judge`` finds what takes several logs to see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from eventbus.codec import Codec
from eventbus.model.errors import Poison
from eventbus.model.messages import Envelope
from eventbus.model.places import Position
from eventbus.model.record import Raw
from eventbus.processing import skips
from eventbus.processing.own_log import Doubtful, Foreign, claim
from eventbus.wire_format import DATASCHEMA
from schemas import StockAdjusted, StockRefused, StockReleased, StockReserved, StockShipped
from tools.registry import SERVICES
from verification.audit.commands import Command, CommandLedger
from verification.audit.findings import DeadLetter, Undecided, Violation
from verification.audit.money import account
from verification.audit.orders import ANSWERS, ONCE, STEPS, OrderHistory, next_state
from verification.audit.parked import RETRIES, ParkedLedger
from verification.audit.stock import Product, StockMove

Frontier = Mapping[tuple[str, str, int], int]
"""By group, topic and partition: the offset below which the group has decided everything."""

LISTENERS: Mapping[str, tuple[str, ...]] = {
    "order.commands": ("order",),
    "order.events": ("payment", "inventory"),
    "payment.events": ("order",),
    "inventory.events": ("order",),
    "inventory.answers": ("inventory",),
    "stock.commands": ("inventory",),
}
"""Who decides what stands in a topic, where that moves money or stock: nothing waits for other services."""

WRITERS = {log: service.name for service in SERVICES for log in service.logs}
"""The service that writes each event log."""
LETTERS = tuple(service.dead_letters for service in SERVICES)
TOPICS = tuple(dict.fromkeys((*LISTENERS, *WRITERS, *RETRIES, *LETTERS)))
ABSENT = frozenset(
    topic
    for service in SERVICES
    if not service.start
    for topic in (*service.logs, service.retry, service.dead_letters)
)
"""Topics that a system need not have: `make up` does not start their service."""
ERRORS = "__eventbus.errors."
SHOWN = 200
"""Characters that are kept of each header of a dead letter: anybody can write one."""


@dataclass(frozen=True)
class ForeignRecord:
    """A record in an event log or a retry topic that its service did not write, or cannot read."""

    place: Position
    key: str
    reason: str


class Ledger:
    """Everything that the topics hold. ``partition_of`` gives the partition a key belongs to."""

    def __init__(self, codec: Codec, partition_of: Callable[[bytes], int]) -> None:
        self.histories: dict[str, OrderHistory] = {}
        self.products: dict[str, Product] = {}
        self.violations: list[Violation] = []
        self.parked = ParkedLedger(self._order_of, partition_of)
        self.skips = skips.Skips(codec)
        self.set_aside: set[Position] = set()
        """Records met that operators have set aside: they count for nothing."""
        self._letters: dict[tuple[str, str], DeadLetter] = {}
        self.dead_lettered: set[str] = set()
        self.foreign: list[ForeignRecord] = []
        self.records = 0
        self.accepted = 0
        self._codec, self._partition_of = codec, partition_of
        self._frontier: Frontier = {}
        self._waiting: list[Undecided] = []
        self._versions: dict[str, dict[str, int]] = {log: {} for log in WRITERS}
        self._ids: set[int] = set()
        self._commands = CommandLedger(self.parked)

    def advance(self, frontier: Frontier) -> None:
        """Take the offsets that the groups had committed *before* the ends of the topics were taken."""
        self._frontier = frontier
        self._waiting = [w for w in self._waiting if w.offset >= self._decided(w.group, w.topic, w.partition)]

    def waiting(self) -> Mapping[str, Undecided]:
        """The orders that are not finished: by order, a record about it that was not decided, or that came later."""
        return {w.order: w for w in [*self.parked.waiting(), *reversed(self._waiting)]}

    def letters(self) -> list[DeadLetter]:
        """Dead letters that were not decided later; the last one if a message has several."""
        return [letter for letter in self._letters.values() if not self.parked.is_over(letter)]

    def unanswered(self) -> list[tuple[str, str]]:
        """Commands that order has decided without leaving an event that it should have left: (order, place)."""
        return self._commands.unanswered(
            lambda partition: self._decided("order", "order.commands", partition),
            lambda order: self.history(order).order == "NEW",
        )

    def decided(self, place: Position) -> bool:
        """Whether every group that reads the topic had decided this record when the cut was taken."""
        groups = LISTENERS.get(place.topic, ())
        return all(place.offset < self._decided(g, place.topic, place.partition) for g in groups)

    def take(self, raw: Raw) -> None:
        """Fold one record, whatever it holds."""
        self.records += 1
        place = Position(raw.topic, raw.partition, raw.offset)
        if place in self.skips:
            self.set_aside.add(place)
            return
        if raw.topic in LETTERS:
            self._letter(raw)
            return
        if raw.topic in RETRIES:
            try:
                self.parked.take(raw)
            except (Foreign, Doubtful) as reason:
                self._note_foreign(raw, str(reason))
            return
        self._await(raw)
        if raw.topic in WRITERS:
            self._event(raw)
        elif raw.topic == "order.commands":
            command = Command(self._order_of(raw), self._name_of(raw), request_in(raw.header("ce_id")))
            self._commands.take(raw.partition, raw.offset, command)

    def _decided(self, group: str, topic: str, partition: int) -> int:
        return self._frontier.get((group, topic, partition), 0)

    def _await(self, raw: Raw) -> None:
        for group in LISTENERS.get(raw.topic, ()):
            if raw.offset >= self._decided(group, raw.topic, raw.partition):
                order = self._order_of(raw)
                if order:
                    self._waiting.append(
                        Undecided(group, raw.topic, raw.partition, raw.offset, order, raw.timestamp)
                    )

    def _order_of(self, raw: Raw) -> str:
        """The order a record is about, "" if it is about none."""
        if not raw.topic.startswith("stock."):
            return (raw.key or b"").decode("utf-8", "replace")
        try:
            return (
                getattr(self._codec.decode_value(raw.value, raw.header(DATASCHEMA)), "order_id", None) or ""
            )
        except Poison:
            return ""

    def _name_of(self, raw: Raw) -> str:
        try:
            return self._codec.name_of(raw.value, raw.header(DATASCHEMA))
        except Poison:
            return ""

    def _letter(self, raw: Raw) -> None:
        errors = {
            k.removeprefix(ERRORS): v.decode("utf-8", "replace")[:SHOWN]
            for k, v in raw.headers
            if v is not None and k.startswith(ERRORS)
        }
        topic, service = errors.get("topic", "?"), raw.topic.removesuffix(".dlq")
        origin = f"{topic}-{errors.get('partition', '?')}-{errors.get('offset', '?')}"
        reason = f"{errors.get('exception', '?')}: {errors.get('message', '')}"
        order = self._order_of(raw._replace(topic=topic))
        self.dead_lettered.add(origin)
        letter = DeadLetter(order, service, origin, raw.coordinates, reason, raw.timestamp)
        self._letters[service, origin] = letter

    def _event(self, raw: Raw) -> None:
        try:
            claimed = claim(raw, self._partition_of)
            if not self._is_next(raw, claimed.key, claimed.version):
                return
            envelope = self._readable(raw)
        except (Foreign, Poison) as reason:
            self._note_foreign(raw, str(reason))
            return
        self._versions[raw.topic][claimed.key] = claimed.version
        self._note_id(envelope)
        if raw.topic not in STEPS and raw.topic != "stock.events":
            return  # it moves neither money nor stock
        order: str | None = getattr(envelope.message, "order_id", None)
        if order:
            self._follow_cause(envelope, order, raw.timestamp)
        if raw.topic == "stock.events":
            self._stock(envelope)
        else:
            self._step(envelope)

    def _note_foreign(self, raw: Raw, reason: str) -> None:
        key = (raw.key or b"")[:SHOWN].decode("utf-8", "replace")
        self.foreign.append(ForeignRecord(Position(raw.topic, raw.partition, raw.offset), key, reason))

    def _is_next(self, raw: Raw, key: str, version: int) -> bool:
        """Whether the services fold the record: they fold only the next event of each key."""
        expected = self._versions[raw.topic].get(key, 0) + 1
        if version != expected:
            wanted = f"event {expected} of its key in {raw.topic}"
            self._broken("key versions", key, wanted, f"event {version}", raw.coordinates)
        return version == expected

    def _readable(self, raw: Raw) -> Envelope:
        """The event in a record; raises Poison for what cannot be read, or does not belong there."""
        envelope = self._codec.decode(raw)
        if envelope.message.topic != raw.topic:
            raise Poison(f"{envelope.message.name} does not belong in {raw.topic}")
        return envelope

    def _note_id(self, envelope: Envelope) -> None:
        identity = hash(envelope.id)
        if identity in self._ids:
            where, expected = str(envelope.position), "an id no other event has"
            self._broken("event ids", envelope.message.key, expected, envelope.id, where)
        self._ids.add(identity)

    def _follow_cause(self, envelope: Envelope, order: str, time: int) -> None:
        """An event that came about after the frontier was taken keeps its order from being judged in this cut."""
        assert envelope.led_by is not None
        topic, partition, offset = Position.parse(envelope.led_by)
        if topic not in LISTENERS:
            return  # a deadline: it is no record of a topic
        group = WRITERS[envelope.topic]
        if offset >= self._decided(group, topic, partition):
            self._waiting.append(Undecided(group, topic, partition, offset, order, time))
        if topic == "order.commands":
            request, repeats = request_in(envelope.causation_id), envelope.message.name in ANSWERS
            self._commands.answer(partition, offset, order, request, repeats=repeats)

    def _step(self, envelope: Envelope) -> None:
        message, log, where = envelope.message, envelope.topic, str(envelope.position)
        key, name = message.key, message.name
        history = self.history(key)
        if name in ONCE and name in history.seen:
            self._broken("once an order", key, f"at most one {name}", "another one", where)
            return
        state = history.state(log)
        after = next_state(log, state, name)
        if after is None:
            legal = sorted(event for begin, event in STEPS[log] if begin == state) or ["nothing more"]
            self._broken("legal transitions", key, f"after {state}: {', '.join(legal)}", name, where)
            return
        if name in ONCE or log != "order.events":
            history.seen.add(name)
        history.move(log, after)
        self.accepted += name == "OrderCreated"
        for broken in account(history, message, envelope.time):
            self._broken(broken.rule, key, broken.expected, broken.found, where)

    def history(self, order: str) -> OrderHistory:
        """The order's history; a new one if it has none yet."""
        history = self.histories.get(order)
        if history is None:
            history = self.histories[order] = OrderHistory()
        return history

    def _stock(self, envelope: Envelope) -> None:
        event = envelope.message
        product = self.products.setdefault(event.key, Product())
        match event:
            case StockAdjusted():
                move = StockMove("adjusted", None, event.quantity, event.available_qty)
            case StockReserved():
                move = StockMove("reserved", event.order_id, event.quantity, event.available_qty)
            case StockReleased():
                move = StockMove("released", event.order_id, event.quantity, event.available_qty)
            case StockShipped():
                move = StockMove("shipped", event.order_id, event.quantity, event.available_qty)
            case StockRefused():
                move = StockMove("refused", event.order_id, event.quantity, event.available_qty)
            case _:
                return
        for broken in product.fold(move):
            self._broken(broken.rule, event.key, broken.expected, broken.found, str(envelope.position))
        if move.order is not None:
            held, shipped = product.holds_of(move.order)
            self.history(move.order).stock[event.key] = (held, shipped)

    def _broken(self, rule: str, subject: str, expected: str, found: str, where: str) -> None:
        self.violations.append(Violation(rule, subject, expected, found, where))


def request_in(identity: str | None) -> str:
    """The request that the id of a command names (``request:<uuid>:<fingerprint>``); "" if it names none."""
    kind, _, rest = (identity or "").partition(":")
    return rest.partition(":")[0] if kind == "request" else ""
