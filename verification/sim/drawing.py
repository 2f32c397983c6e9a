"""Draws the plan of a simulation from its seed."""

from __future__ import annotations

from random import Random

from eventbus.processing.ports import Step
from verification.sim.commands import PRODUCTS, draw_commands, draw_repeated_commands
from verification.sim.fault import Fault, StepFault
from verification.sim.forger import FORGED
from verification.sim.plan import SERVICES, SimulationPlan
from verification.sim.rare_plans import crowd, left_behind, upgraded, zombie

PLACES = (*(step.value for step in Step), "commit", "committed", "offsets")


def draw_plan(seed: int) -> SimulationPlan:
    """The plan of a seed; always the same."""
    dice = Random(seed)
    orders = [f"o{n}" for n in range(dice.choice((1, 1, 2, 2, 3, 4)))]
    replicas = dict.fromkeys(SERVICES, 2)
    if dice.random() < 0.15:
        replicas[dice.choice(SERVICES)] = 3

    def share(often: float, most: float) -> float:
        return dice.random() * most if dice.random() < often else 0.0

    deadline = dice.choice((2_000, 6_000, 15_000, 30_000))
    commands, faults = draw_commands(dice, orders), _faults(dice, orders)
    commands += draw_repeated_commands(Random(f"{seed} insists"), orders[0])
    if dice.random() < 0.05:
        commands, faults = zombie(dice, orders[0], deadline, commands, faults)
    plan = SimulationPlan(
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
        commands=tuple(sorted(commands, key=lambda w: w[0])),
        faults=tuple(sorted([*faults, *_forgeries(Random(f"{seed} forged"), orders)], key=lambda f: f.at)),
        stuck=share(0.3, 0.1),
    )
    if dice.random() < 0.01:
        return crowd(dice, plan)
    releases = Random(f"{seed} released")
    return left_behind(releases, plan) if releases.random() < 0.01 else upgraded(releases, plan)


def _faults(dice: Random, orders: list[str]) -> list[Fault]:
    faults = []
    for _ in range(dice.choice((0, 2, 3, 4, 6, 9))):
        at, service, slot = dice.randint(0, 16_000), dice.choice(SERVICES), dice.randint(0, 1)
        what = dice.choices(*zip(*_KINDS, strict=True))[0]
        ms = dice.choice((dice.randint(50, 1_500), dice.randint(1_500, 12_000)))
        step_fault = None
        if what == "step_fault":
            ms = dice.choice((0, 0, dice.randint(10, 2_000), dice.randint(6_000, 13_000)))
            step_fault = StepFault(dice.choice(PLACES), ms)
        bug = dice.choice(_BUGS)
        key = dice.choice(PRODUCTS if bug.endswith("Stock") else orders)
        faults.append(Fault(at, what, service, slot, ms, step_fault, key, bug))
    return faults


def _forgeries(dice: Random, orders: list[str]) -> list[Fault]:
    """Somebody who may write to the topics of others sends reports that contradict what was asked for."""
    forged = []
    while dice.random() < 0.3:
        at = dice.choice((dice.randint(0, 16_000), dice.randint(0, 6_000)))
        forged.append(Fault(at, "forged", "order", key=dice.choice(orders), name=dice.choice(FORGED)))
    return forged


_KINDS = [
    ("step_fault", 10),
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
