"""What happens in one world: drawn from its seed, before it begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from eventbus import Message
from eventbus.processing.ports import Step
from schemas import AdjustStock, CancelOrder, CompleteOrder, Contact, CreateOrder, Item
from tools.registry import STARTED
from verification.sim.clock import START
from verification.sim.forger import FORGED
from verification.sim.replica import Strike

SERVICES = tuple(service.name for service in STARTED)
PRODUCTS = ("cup", "pot")
METHODS = ("tok_ok",) * 6 + ("tok_declined", "tok_flaky", "tok_unavailable")
LENGTH = 24_000
"""Ms of wishes and faults; then everything is healed, and the world may come to rest."""
PROMPT = 3_500
"""Ms within which a good order is charged: 3 s, and half a second for the services before payment."""
PLACES = (*(step.value for step in Step), "commit", "committed", "offsets")


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong at ``at`` (ms from the start). What ``what`` means is for the world to know.

    ``service`` and ``slot`` say where, ``strike`` what is to befall the next turn, ``ms`` for how long, ``key`` and
    ``name`` which message a bug is about.
    """

    at: int
    what: str
    service: str = ""
    slot: int = 0
    ms: int = 0
    strike: Strike | None = None
    key: str = ""
    name: str = ""


@dataclass(frozen=True)
class Story:
    """The parameters of a world, the wishes of its customers and clerks, and what goes wrong when."""

    seed: int
    partitions: int
    replicas: dict[str, int]
    attempts: int
    deadline: int
    gives_up: bool
    breaker: int
    late: float
    slow_markers: float
    aborts: float
    refused: float
    lost: float
    delayed: float
    skews: tuple[int, ...]
    wave: int
    wishes: tuple[tuple[int, Message], ...]
    faults: tuple[Fault, ...]
    stuck: float
    prompt: tuple[tuple[str, int], ...] = ()
    """Orders with a good payment method in an otherwise calm world: each is charged by then (ms from the start)."""


def tell(seed: int) -> Story:
    """The story of a seed; always the same."""
    dice = Random(seed)
    orders = [f"o{n}" for n in range(dice.choice((1, 1, 2, 2, 3, 4)))]
    replicas = dict.fromkeys(SERVICES, 2)
    if dice.random() < 0.15:
        replicas[dice.choice(SERVICES)] = 3

    def share(often: float, most: float) -> float:
        return dice.random() * most if dice.random() < often else 0.0

    deadline = dice.choice((2_000, 6_000, 15_000, 30_000))
    wishes, faults = _wishes(dice, orders), _faults(dice, orders)
    wishes += _insistence(Random(f"{seed} insists"), orders[0])
    if dice.random() < 0.05:
        wishes, faults = _zombie(dice, orders[0], deadline, wishes, faults)
    story = Story(
        seed=seed,
        partitions=dice.choice((1, 2, 2)),
        replicas=replicas,
        attempts=dice.choice((2, 3)),
        deadline=deadline,
        gives_up=dice.random() < 0.3,
        breaker=dice.choice((2, 2, 3)),
        late=share(0.5, 0.5),
        slow_markers=share(0.4, 0.6),
        aborts=share(0.3, 0.2),
        refused=share(0.3, 0.5),
        lost=share(0.3, 0.4),
        delayed=share(0.3, 0.3),
        skews=tuple(dice.choice((0, 0, 0, -700, 900)) for _ in range(sum(replicas.values()))),
        wave=Random(f"{seed} wave").choice((1, 2, 100)),
        wishes=tuple(sorted(wishes, key=lambda w: w[0])),
        faults=tuple(sorted([*faults, *_forgeries(Random(f"{seed} forged"), orders)], key=lambda f: f.at)),
        stuck=share(0.3, 0.1),
    )
    return _crowd(dice, story) if dice.random() < 0.01 else story


def _wishes(dice: Random, orders: list[str]) -> list[tuple[int, Message]]:
    wishes: list[tuple[int, Message]] = [
        (
            dice.randint(0, 300),
            AdjustStock(product_id=p, quantity=dice.randint(1, 8), reason="at first", adjustment_id="first"),
        )
        for p in PRODUCTS
    ]
    for order in orders:
        begun = dice.randint(0, 6_000)
        created = _order(dice, order, START + begun)
        wishes.append((begun, created))
        # Most of what comes later comes soon, or when the order has settled.
        while dice.random() < 0.45:
            at = begun + dice.choice((dice.randint(0, 300), dice.randint(300, 12_000)))
            cancel, complete = CancelOrder(order_id=order), CompleteOrder(order_id=order)
            wishes.append((at, dice.choice((cancel, cancel, complete, complete, created))))
    while dice.random() < 0.3:
        quantity, name = dice.randint(-3, 3), dice.choice((None, "first", "second"))
        adjust = AdjustStock(
            product_id=dice.choice(PRODUCTS), quantity=quantity, reason="count", adjustment_id=name
        )
        wishes.append((dice.randint(0, 12_000), adjust))
    return wishes


def _insistence(dice: Random, order: str) -> list[tuple[int, Message]]:
    """Somebody repeats a wish more often than the order's log says that it changes nothing."""
    if dice.random() > 0.04:
        return []
    wish = dice.choice((CancelOrder(order_id=order), CompleteOrder(order_id=order)))
    begun = dice.randint(0, 8_000)
    return [(begun + dice.randint(0, 3_000), wish) for _ in range(dice.randint(20, 40))]


def _order(dice: Random, order: str, at: int) -> CreateOrder:
    items = tuple(
        Item(product_id=dice.choice(PRODUCTS), quantity=dice.randint(1, 3), unit_price=dice.choice((0, 5, 7)))
        for _ in range(dice.choice((1, 1, 2, 3)))
    )
    return CreateOrder(
        order_id=order,
        user_id="ann",
        items=items,
        currency="GBP",
        payment_method=dice.choice(METHODS),
        contact=Contact(email="ann@example.org") if dice.random() < 0.5 else None,
        fingerprint=order,
        timestamp=at,
    )


def _zombie(
    dice: Random, order: str, deadline: int, wishes: list[tuple[int, Message]], faults: list[Fault]
) -> tuple[list[tuple[int, Message]], list[Fault]]:
    """A replica freezes just as it has decided a deadline, for longer than its session lasts.

    Too rare to wait for: the order has to be open by then, and everything else about it at rest.
    """
    deadline = min(deadline, 6_000)
    created = replace(
        _order(dice, order, START + 100), payment_method="tok_unavailable", deadline_at=START + 100 + deadline
    )
    quiet = [w for w in wishes if w[1].key != order] + [(100, created)]
    strike = Strike(
        dice.choice((Step.DECIDED.value, Step.DECIDED.value, "commit")), dice.randint(8_500, 13_000)
    )
    return quiet, [*faults, Fault(100 + deadline - 300, "strike", "order", dice.randint(0, 1), strike=strike)]


def _crowd(dice: Random, story: Story) -> Story:
    """Many orders whose charge fails, and a few good ones behind or among them, in a world that is calm otherwise.

    The breakers of the payment replicas may open for the bad ones; the good ones must not wait for that.
    """
    bad = [dice.randint(200, 1_200) for _ in range(20)]
    good = [dice.randint(3_500, 4_500)]
    match dice.randrange(3):
        case 0:
            pass
        case 1:
            bad += [good[0] - dice.randint(10, 300) for _ in range(100)]
        case 2:
            bad = [at + dice.randint(0, 90) for at in range(200, 12_000, 100)]
            good = list(range(3_000, 12_000, 2_000))
    wishes: list[tuple[int, Message]] = [
        (0, AdjustStock(product_id=p, quantity=2_000, reason="at first", adjustment_id="first"))
        for p in PRODUCTS
    ]
    for n, at in enumerate(bad):
        wishes.append((at, replace(_order(dice, f"b{n}", START + at), payment_method="tok_unavailable")))
    for n, at in enumerate(good):
        wishes.append((at, replace(_order(dice, f"g{n}", START + at), payment_method="tok_ok")))
    # An order that costs nothing is not charged.
    priced = [(at, _priced(w) if isinstance(w, CreateOrder) else w) for at, w in wishes]
    return replace(
        story,
        deadline=15_000,
        breaker=5,
        attempts=3,
        late=0.0,
        slow_markers=0.0,
        aborts=0.0,
        refused=0.0,
        lost=0.0,
        delayed=0.0,
        stuck=0.0,
        skews=(0,) * len(story.skews),
        wishes=tuple(sorted(priced, key=lambda w: w[0])),
        faults=(),
        prompt=tuple((f"g{n}", at + PROMPT) for n, at in enumerate(good)),
    )


def _priced(order: CreateOrder) -> CreateOrder:
    return replace(order, items=tuple(replace(item, unit_price=item.unit_price or 1) for item in order.items))


def _faults(dice: Random, orders: list[str]) -> list[Fault]:
    faults = []
    for _ in range(dice.choice((0, 2, 3, 4, 6, 9))):
        at, service, slot = dice.randint(0, 16_000), dice.choice(SERVICES), dice.randint(0, 1)
        what = dice.choices(*zip(*_KINDS, strict=True))[0]
        ms = dice.choice((dice.randint(50, 1_500), dice.randint(1_500, 12_000)))
        strike = None
        if what == "strike":
            ms = dice.choice((0, 0, dice.randint(10, 2_000), dice.randint(6_000, 13_000)))
            strike = Strike(dice.choice(PLACES), ms)
        bug = dice.choice(_BUGS)
        key = dice.choice(PRODUCTS if bug.endswith("Stock") else orders)
        faults.append(Fault(at, what, service, slot, ms, strike, key, bug))
    return faults


def _forgeries(dice: Random, orders: list[str]) -> list[Fault]:
    """Somebody who may write to the topics of others sends reports that contradict what was asked for."""
    forged = []
    while dice.random() < 0.3:
        at = dice.choice((dice.randint(0, 16_000), dice.randint(0, 6_000)))
        forged.append(Fault(at, "forged", "order", key=dice.choice(orders), name=dice.choice(FORGED)))
    return forged


_KINDS = [
    ("strike", 10),
    ("kill", 3),
    ("cut", 2),
    ("wipe", 2),
    ("join", 2),
    ("retire", 2),
    ("gateway away", 2),
    ("channel away", 1),
    ("channel refuses", 1),
    ("bug", 4),
    ("again", 4),
    ("compact", 2),
    ("redrive", 2),
    ("discard", 2),
    ("foreign", 3),
    ("clock", 1),
    ("replay", 1),
]
"""What may go wrong, and how often."""

_BUGS = (
    "CreateOrder",
    "CancelOrder",
    "CompleteOrder",
    "PaymentSucceeded",
    "PaymentFailed",
    "InventoryReserved",
    "InventoryFailed",
    "OrderCreated",
    "OrderFailed",
    "OrderCancelled",
    "OrderCompleted",
    "OrderConfirmed",
    "StockAnswered",
    "ReserveStock",
    "ReleaseStock",
)
"""Messages that some rule may not understand for a while."""
