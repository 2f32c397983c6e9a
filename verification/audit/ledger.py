"""Folds records of all topics into what became of each order and each product. No I/O.

Records of one partition come in order, topics in any. What one record alone shows to be wrong is noted at once;
what takes several logs to see is left to ``judge``.
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
from eventbus.processing.own_log import Foreign, claim
from schemas import StockAdjusted, StockRefused, StockReleased, StockReserved, StockShipped
from tools.registry import SERVICES
from verification.audit.findings import DeadLetter, Violation, Waiting
from verification.audit.money import account
from verification.audit.orders import ANSWERS, ONCE, REPEATS, STEPS, Life, next_state
from verification.audit.parked import RETRIES, Parking
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
"""Characters of what a dead letter says of itself: anybody can write one."""


@dataclass(frozen=True)
class Stranger:
    """A record in an event log or a retry topic that its service did not write, or cannot read."""

    place: Position
    key: str
    reason: str


class Ledger:
    """All that the topics say. ``partition_of`` gives the partition a key belongs to."""

    def __init__(self, codec: Codec, partition_of: Callable[[bytes], int]) -> None:
        self.lives: dict[str, Life] = {}
        self.products: dict[str, Product] = {}
        self.violations: list[Violation] = []
        self.parking = Parking(self._order_of, partition_of)
        self.skips = skips.Skips(codec)
        self.set_aside: set[Position] = set()
        """Records met that operators have set aside: they are no part of anything."""
        self._letters: dict[tuple[str, str], DeadLetter] = {}
        self.buried: set[str] = set()
        self.strangers: list[Stranger] = []
        self.records = 0
        self.accepted = 0
        self._codec, self._partition_of = codec, partition_of
        self._frontier: Frontier = {}
        self._waiting: list[Waiting] = []
        self._versions: dict[str, dict[str, int]] = {log: {} for log in WRITERS}
        self._ids: set[int] = set()
        self._commands: dict[tuple[int, int], tuple[str, str]] = {}
        """By partition and offset, what has no answer so far: the order, and the command's name."""
        self._repeats: dict[str, list[int]] = {}
        """By order, the offsets of the commands whose answer is that they changed nothing."""
        self._answered_early: set[tuple[int, int]] = set()

    def advance(self, frontier: Frontier) -> None:
        """How far the groups had come *before* the ends of the topics were taken."""
        self._frontier = frontier
        self._waiting = [w for w in self._waiting if w.offset >= self._decided(w.group, w.topic, w.partition)]

    def waiting(self) -> Mapping[str, Waiting]:
        """The orders on their way: by order, a record about it that was not decided, or came about after that."""
        return {w.order: w for w in [*self.parking.waiting(), *reversed(self._waiting)]}

    def letters(self) -> list[DeadLetter]:
        """Dead letters that were not decided after all; of several of one message the last."""
        return [letter for letter in self._letters.values() if not self.parking.is_over(letter)]

    def unanswered(self) -> list[tuple[str, str]]:
        """Commands that order is done with without leaving an event that it should have left: (order, place)."""
        done = [
            (key, f"order.commands-{partition}-{offset}")
            for (partition, offset), (key, name) in self._commands.items()
            if offset < self._decided("order", "order.commands", partition)
            and not self._said_before(key, name, partition, offset)
        ]
        return [(key, place) for key, place in done if not self.parking.waits("order", place)]

    def _said_before(self, order: str, name: str, partition: int, offset: int) -> bool:
        """Whether ``REPEATS`` events had said already that commands of this order change nothing.

        One that was parked was decided later than its offset says. One that creates an order always leaves an event.
        """
        said, parked = (
            self._repeats.get(order, ()),
            self.parking.ever_waited("order", f"order.commands-{partition}-{offset}"),
        )
        before = sum(1 for other in said if other < offset or parked)
        creates = name == "CreateOrder" and self.life(order).order == "NEW"
        return before >= REPEATS and not creates

    def decided(self, place: Position) -> bool:
        """Whether everybody who listens had decided this record when the cut was taken."""
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
                self.parking.take(raw)
            except Foreign as reason:
                self._strange(raw, str(reason))
            return
        self._await(raw)
        if raw.topic in WRITERS:
            self._event(raw)
        elif raw.topic == "order.commands":
            self._command(raw)

    def _decided(self, group: str, topic: str, partition: int) -> int:
        return self._frontier.get((group, topic, partition), 0)

    def _await(self, raw: Raw) -> None:
        for group in LISTENERS.get(raw.topic, ()):
            if raw.offset >= self._decided(group, raw.topic, raw.partition):
                order = self._order_of(raw)
                if order:
                    self._waiting.append(
                        Waiting(group, raw.topic, raw.partition, raw.offset, order, raw.timestamp)
                    )

    def _order_of(self, raw: Raw) -> str:
        """The order a record is about, "" if it is about none."""
        if not raw.topic.startswith("stock."):
            return (raw.key or b"").decode("utf-8", "replace")
        try:
            return getattr(self._codec.decode_value(raw.value), "order_id", None) or ""
        except Poison:
            return ""

    def _name_of(self, raw: Raw) -> str:
        try:
            return self._codec.name_of(raw.value)
        except Poison:
            return ""

    def _command(self, raw: Raw) -> None:
        place = (raw.partition, raw.offset)
        if place in self._answered_early:
            self._answered_early.remove(place)
        else:
            self._commands[place] = (self._order_of(raw), self._name_of(raw))

    def _letter(self, raw: Raw) -> None:
        told = {
            k.removeprefix(ERRORS): v.decode("utf-8", "replace")[:SHOWN]
            for k, v in raw.headers
            if v is not None and k.startswith(ERRORS)
        }
        topic, service = told.get("topic", "?"), raw.topic.removesuffix(".dlq")
        origin = f"{topic}-{told.get('partition', '?')}-{told.get('offset', '?')}"
        reason = f"{told.get('exception', '?')}: {told.get('message', '')}"
        order = self._order_of(raw._replace(topic=topic))
        self.buried.add(origin)
        letter = DeadLetter(order, service, origin, raw.coordinates, reason, raw.timestamp)
        self._letters[service, origin] = letter

    def _event(self, raw: Raw) -> None:
        try:
            claimed = claim(raw, self._partition_of)
            if not self._is_next(raw, claimed.key, claimed.version):
                return
            envelope = self._readable(raw)
        except (Foreign, Poison) as reason:
            self._strange(raw, str(reason))
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

    def _strange(self, raw: Raw, reason: str) -> None:
        key = (raw.key or b"")[:SHOWN].decode("utf-8", "replace")
        self.strangers.append(Stranger(Position(raw.topic, raw.partition, raw.offset), key, reason))

    def _is_next(self, raw: Raw, key: str, version: int) -> bool:
        """Whether the services fold the record: they pass over all but the next event of its key."""
        expected = self._versions[raw.topic].get(key, 0) + 1
        if version != expected:
            told = f"event {expected} of its key in {raw.topic}"
            self._broken("key versions", key, told, f"event {version}", raw.coordinates)
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
        assert envelope.cause is not None
        topic, partition, offset = Position.parse(envelope.cause)
        if topic not in LISTENERS:
            return  # a deadline: it is no record, and stands in no topic
        group = WRITERS[envelope.topic]
        if offset >= self._decided(group, topic, partition):
            self._waiting.append(Waiting(group, topic, partition, offset, order, time))
        if topic == "order.commands" and envelope.message.name in ANSWERS:
            self._repeats.setdefault(order, []).append(offset)
        if topic == "order.commands" and self._commands.pop((partition, offset), None) is None:
            self._answered_early.add((partition, offset))

    def _step(self, envelope: Envelope) -> None:
        message, log, where = envelope.message, envelope.topic, str(envelope.position)
        key, name = message.key, message.name
        life = self.life(key)
        if name in ONCE and name in life.seen:
            self._broken("once an order", key, f"at most one {name}", "another one", where)
            return
        state = life.state(log)
        after = next_state(log, state, name)
        if after is None:
            legal = sorted(event for begin, event in STEPS[log] if begin == state) or ["nothing more"]
            self._broken("legal transitions", key, f"after {state}: {', '.join(legal)}", name, where)
            return
        if name in ONCE or log != "order.events":
            life.seen.add(name)
        life.move(log, after)
        self.accepted += name == "OrderCreated"
        for broken in account(life, message, envelope.time):
            self._broken(broken.rule, key, broken.expected, broken.found, where)

    def life(self, order: str) -> Life:
        """The order's life, begun if it is new."""
        life = self.lives.get(order)
        if life is None:
            life = self.lives[order] = Life()
        return life

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
            self.life(move.order).stock[event.key] = (held, shipped)

    def _broken(self, rule: str, subject: str, expected: str, found: str, where: str) -> None:
        self.violations.append(Violation(rule, subject, expected, found, where))
