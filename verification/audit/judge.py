"""Judges every settled order: are its money and its stock as they must be? No I/O.

An order is judged once it is settled and *quiet*: everything about it in the cut was decided by all who listen
before the cut was taken, so all that follows from it is in the cut too. What is not quiet is listed as open. A dead
letter excuses what is missing, never what is there twice or should not be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from verification.audit.findings import DeadLetter, OpenOrder, Undecided, Violation
from verification.audit.gateway import GatewayRecord
from verification.audit.ledger import Ledger
from verification.audit.orders import GOOD, OrderHistory
from verification.audit.rules import doubles, lacks


@dataclass
class Money:
    """Minor units of one currency. ``value`` is that of judged orders that are confirmed or completed; ``open`` and
    ``dead`` are what was charged and not refunded for orders on their way and for dead-lettered ones."""

    charged: int = 0
    refunded: int = 0
    value: int = 0
    open: int = 0
    dead: int = 0
    gateway_charged: int = 0
    gateway_refunded: int = 0


@dataclass
class Pieces:
    """Stock of all products together. ``held_open`` and ``held_dead`` are parts of ``held``."""

    products: int = 0
    adjusted: int = 0
    available: int = 0
    held: int = 0
    shipped: int = 0
    held_open: int = 0
    held_dead: int = 0
    lowest: int = 0


@dataclass
class AuditResult:
    """What an audit found. ``orders`` counts the judged ones by status, ``dead`` names the dead-lettered ones."""

    records: int
    accepted: int
    gateway: bool
    orders: Counter[str] = field(default_factory=Counter)
    money: dict[str, Money] = field(default_factory=dict)
    pieces: Pieces = field(default_factory=Pieces)
    open: list[OpenOrder] = field(default_factory=list)
    dead: dict[str, list[str]] = field(default_factory=dict)
    letters: list[DeadLetter] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """Where the records stand that operators have set aside."""

    @property
    def clean(self) -> bool:
        return not self.violations


def judge(ledger: Ledger, gateway: GatewayRecord | None, sure_until: int, now: int) -> AuditResult:
    """The result at ``now`` (ms since epoch).

    ``sure_until``: the last number of the gateway's record that was read *before* the groups' offsets were taken;
    what it moved later may be ahead of the cut.
    """
    judging = _Judge(ledger, gateway, sure_until, now)
    for order, history in ledger.histories.items():
        judging.order(order, history)
    judging.orders_to_be()
    judging.gateway_alone()
    judging.records()
    judging.products()
    return judging.result


class _Judge:
    def __init__(self, ledger: Ledger, gateway: GatewayRecord | None, sure_until: int, now: int) -> None:
        self.ledger, self.gateway, self.sure_until, self.now = ledger, gateway, sure_until, now
        self.waiting: Mapping[str, Undecided] = ledger.waiting()
        self.letters: dict[str, list[DeadLetter]] = {}
        letters = ledger.letters()
        for letter in letters:
            if letter.order and letter.service != "notification":
                self.letters.setdefault(letter.order, []).append(letter)
        self.result = AuditResult(ledger.records, ledger.accepted, gateway is not None)
        self.result.letters = [letter for letter in letters if not ledger.parked.is_discarded(letter)]
        self.result.violations = list(ledger.violations)
        self.result.skipped = sorted(str(place) for place in ledger.set_aside)

    def order(self, order: str, history: OrderHistory) -> None:
        """Judge one order and add its money and stock to the sums."""
        result, waits, letters = self.result, self.waiting.get(order), self.letters.get(order, [])
        money = self._money(order, history)
        net, held = history.charged - history.refunded, sum(held for held, _ in history.stock.values())
        if self.gateway:
            result.violations += doubles(order, self.gateway)
        if waits is not None:
            age = (self.now - (history.since or waits.time)) / 1000
            result.open.append(OpenOrder(order, history.order, age, str(waits)))
            result.pieces.held_open += held
            money.open += net
            return
        found = lacks(order, history, self.gateway, self.sure_until)
        broken = [lack for lack in found if not (lack.missing and letters)]
        result.violations += [Violation(b.rule, order, b.expected, b.found, b.where) for b in broken]
        if found and not broken:
            result.dead[order] = [letter.place for letter in letters]
            result.pieces.held_dead += held
            money.dead += net
        elif history.order != "NEW":
            result.orders[history.order] += 1
            money.value += history.total if history.order in GOOD else 0

    def _money(self, order: str, history: OrderHistory) -> Money:
        """The sums of the order's currency, its money added."""
        moved = self.gateway.by_order.get(order, []) if self.gateway else []
        if not (history.charged or history.total or moved):
            return Money()
        money = self.result.money.setdefault(
            history.currency or history.paid_in or moved[0].currency, Money()
        )
        money.charged += history.charged
        money.refunded += history.refunded
        money.gateway_charged += sum(m.amount for m in moved if m.kind == "CHARGE")
        money.gateway_refunded += sum(m.amount for m in moved if m.kind == "REFUND")
        return money

    def orders_to_be(self) -> None:
        """Orders of which only a command exists so far."""
        for order, waits in self.waiting.items():
            if order not in self.ledger.histories:
                self.result.open.append(OpenOrder(order, "NEW", (self.now - waits.time) / 1000, str(waits)))

    def gateway_alone(self) -> None:
        """Money that moved for orders that stand in no topic."""
        for order, moved in self.gateway.by_order.items() if self.gateway else ():
            known = order in self.ledger.histories or order in self.waiting or order in self.letters
            if not known and moved[0].seq <= self.sure_until:
                found = f"{moved[0].kind.lower()} of {moved[0].amount:,} {moved[0].currency}"
                self._violation(
                    "agrees with the gateway", order, "an order", found, f"the gateway's {moved[0].key}"
                )

    def records(self) -> None:
        """Commands without an answer, and records that the writer of their log did not write."""
        for order, place in self.ledger.unanswered():
            if place not in self.ledger.dead_lettered:
                expected = "an event that names it as its cause, or a dead letter"
                self._violation("every command answered", order, expected, "neither", place)
        for record in self.ledger.foreign:
            place = str(record.place)
            if place not in self.ledger.dead_lettered and self.ledger.decided(record.place):
                expected = f"a record that {record.place.topic.partition('.')[0]}'s service wrote"
                self._violation("one writer a log", record.key, expected, record.reason, place)

    def products(self) -> None:
        """The stock equation for each product, and the sums over all products."""
        pieces = self.result.pieces
        for name, product in self.ledger.products.items():
            pieces.products += 1
            pieces.adjusted += product.adjusted
            pieces.available += product.available
            pieces.held += product.held
            pieces.shipped += product.shipped
            pieces.lowest = min(pieces.lowest, product.lowest)
            gone, accounted = product.adjusted - product.available, product.held + product.shipped
            if gone != accounted:
                rule = "initial + adjusted − available = held + shipped"
                expected = f"0 + {product.adjusted:,} − {product.available:,} = {gone:,}"
                found = f"{product.held:,} + {product.shipped:,} = {accounted:,}"
                self._violation(rule, name, expected, found, "stock.events")

    def _violation(self, rule: str, subject: str, expected: str, found: str, where: str) -> None:
        self.result.violations.append(Violation(rule, subject, expected, found, where))
