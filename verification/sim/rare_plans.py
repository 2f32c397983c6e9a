"""Plans that would be drawn too seldom: a zombie at a deadline, a crowd of orders that cannot be paid, an upgrade."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from eventbus import Message
from eventbus.processing.aside import SPREAD
from eventbus.processing.ports import Step
from schemas import AdjustStock, CreateOrder
from verification.sim.clock import START
from verification.sim.commands import PRODUCTS, draw_order
from verification.sim.fault import Fault, StepFault
from verification.sim.plan import SimulationPlan
from verification.sim.release import Release
from verification.sim.replica import IDLE

PROMPT = 3_500
"""Ms within which a good order is charged: 3 s, and half a second for the services before payment."""
GIVEN_UP = int(1_000 * SPREAD) + IDLE + 2_000
"""Ms within which a good order is charged while a task goes to a replica that cannot lead it, and back: that replica
leaves at a random moment, takes its next turn after that, and the task is taken over."""

EVOLVING = (
    "CreateOrder",
    "CancelOrder",
    "CompleteOrder",
    "OrderCreated",
    "OrderPaid",
    "OrderReserved",
    "OrderConfirmed",
    "OrderFailed",
    "OrderCancelled",
    "OrderCompleted",
    "PaymentSucceeded",
    "PaymentFailed",
    "PaymentRefunded",
    "InventoryReserved",
    "InventoryFailed",
    "InventoryReleased",
    "StockAnswered",
    "ReserveStock",
    "ReleaseStock",
    "StockReserved",
    "NotificationSent",
)
"""Commands, own events and the events of others that may get a new version."""


def zombie(
    dice: Random, order: str, deadline: int, commands: list[tuple[int, Message]], faults: list[Fault]
) -> tuple[list[tuple[int, Message]], list[Fault]]:
    """A replica decides a deadline and freezes right then, for longer than its session lasts.

    Random faults hit this too seldom: the order must still be open then, and nothing else may happen to it.
    """
    deadline = min(deadline, 6_000)
    created = replace(
        draw_order(dice, order, START + 100),
        payment_method="tok_unavailable",
        deadline_at=START + 100 + deadline,
    )
    quiet = [w for w in commands if w[1].key != order] + [(100, created)]
    step_fault = StepFault(
        dice.choice((Step.DECIDED.value, Step.DECIDED.value, "commit")), dice.randint(8_500, 13_000)
    )
    return quiet, [
        *faults,
        Fault(100 + deadline - 300, "step_fault", "order", dice.randint(0, 1), step_fault=step_fault),
    ]


def crowd(dice: Random, plan: SimulationPlan) -> SimulationPlan:
    """Many orders whose charge fails, and a few good ones behind or among them, without other faults.

    The breakers of the payment replicas may open because of the bad ones. The good ones must not wait for that.
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
    commands: list[tuple[int, Message]] = [
        (0, AdjustStock(product_id=p, quantity=2_000, reason="at first", adjustment_id="first"))
        for p in PRODUCTS
    ]
    for n, at in enumerate(bad):
        commands.append(
            (at, replace(draw_order(dice, f"b{n}", START + at), payment_method="tok_unavailable"))
        )
    for n, at in enumerate(good):
        commands.append((at, replace(draw_order(dice, f"g{n}", START + at), payment_method="tok_ok")))
    # An order that costs nothing is not charged.
    priced = [(at, _priced(w) if isinstance(w, CreateOrder) else w) for at, w in commands]
    return replace(
        _without_faults(plan),
        deadline=15_000,
        breaker=5,
        attempts=3,
        commands=tuple(sorted(priced, key=lambda w: w[0])),
        prompt=tuple((f"g{n}", at + PROMPT) for n, at in enumerate(good)),
    )


def left_behind(dice: Random, plan: SimulationPlan) -> SimulationPlan:
    """A replica of the release before joins one of the last release, which has written for all tasks.

    It is assigned a task whose log it cannot read. The orders of that task must not wait until it is upgraded.
    """
    service, evolved = dice.choice((("payment", "PaymentSucceeded"), ("order", "OrderCreated")))
    orders = [(f"o{n}", dice.randint(100, 15_000)) for n in range(12)]
    commands: list[tuple[int, Message]] = [
        (0, AdjustStock(product_id=p, quantity=2_000, reason="at first", adjustment_id="first"))
        for p in PRODUCTS
    ]
    for order, at in orders:
        commands.append((at, _priced(replace(draw_order(dice, order, START + at), payment_method="tok_ok"))))
    return replace(
        _without_faults(plan),
        partitions=2,
        replicas=dict.fromkeys(plan.replicas, 1),
        deadline=30_000,
        evolved=frozenset({evolved}),
        commands=tuple(sorted(commands, key=lambda w: w[0])),
        faults=(
            *(Fault(0, "deploy", name, name=Release.WRITES.name) for name in plan.replicas),
            Fault(dice.randint(3_000, 6_000), "join", service),
        ),
        prompt=tuple((order, at + GIVEN_UP) for order, at in orders),
    )


def _without_faults(plan: SimulationPlan) -> SimulationPlan:
    return replace(
        plan,
        late=0.0,
        slow_markers=0.0,
        aborts=0.0,
        refused=0.0,
        lost=0.0,
        delayed=0.0,
        stuck=0.0,
        skews=(0,) * len(plan.skews),
        faults=(),
    )


def upgraded(dice: Random, plan: SimulationPlan) -> SimulationPlan:
    """Some messages get a new version, and each replica is deployed anew, once or more, in any order and back again.

    What the last release cannot read waits until the simulation is healed: then all replicas run that release.
    """
    if dice.random() > 0.3:
        return plan
    evolved = frozenset(dice.sample(EVOLVING, dice.choice((1, 1, 2, 4, len(EVOLVING)))))
    slots = [(service, slot) for service, count in plan.replicas.items() for slot in range(count)]
    deployed = [
        Fault(
            dice.choice((0, dice.randint(0, 20_000))),
            "deploy",
            service,
            slot,
            name=dice.choice(list(Release)).name,
        )
        for service, slot in dice.sample(slots, dice.randint(1, len(slots))) * dice.choice((1, 1, 2))
    ]
    return replace(plan, evolved=evolved, faults=tuple(sorted([*plan.faults, *deployed], key=lambda f: f.at)))


def _priced(order: CreateOrder) -> CreateOrder:
    return replace(order, items=tuple(replace(item, unit_price=item.unit_price or 1) for item in order.items))
