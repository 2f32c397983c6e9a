"""The four services of a simulation: real deciders, and the outside world that is given to their reactors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache, partial
from typing import Any

from eventbus import Decider, Message
from eventbus.cli.creation import load
from eventbus.settings import Settings
from services.inventory.reservation import reservation_decider
from services.inventory.stock import stock_decider
from services.notification.decider import notification_reactor
from services.notification.messenger import Messenger
from services.order.decider import order_decider
from services.payment.decider import give_up, payment_reactor
from services.payment.idempotent_gateway import IdempotentGateway
from tools.registry import BY_NAME
from verification.sim.outside import Gateway, NoticeChannel
from verification.sim.plan import SERVICES, SimulationPlan
from verification.sim.service import Service


def _rules_of(name: str, clock: Callable[[], int]) -> Sequence[Decider[Any]]:
    """The deciders of a service of which the simulator knows nothing else."""
    return load(BY_NAME[name].wiring).deciders


@lru_cache(1)
def settings() -> Settings:
    return Settings(max_event_bytes=1_000_000)


def services(
    plan: SimulationPlan, gateway: Gateway, channel: NoticeChannel, bugs: set[tuple[str, str]]
) -> dict[str, Service]:
    """The services by name. A message named in ``bugs``, as (name, key), makes the rules raise."""

    def order(clock: Callable[[], int]) -> Sequence[Decider[Any]]:
        return (order_decider(timedelta(milliseconds=plan.deadline)),)

    def pay(clock: Callable[[], int]) -> Sequence[Decider[Any]]:
        on_retries_exhausted = give_up if plan.gives_up else None
        return (payment_reactor(IdempotentGateway(gateway, clock).call, on_retries_exhausted),)

    def stock(clock: Callable[[], int]) -> Sequence[Decider[Any]]:
        return (reservation_decider(plan.wave), stock_decider())

    def notify(clock: Callable[[], int]) -> Sequence[Decider[Any]]:
        return (notification_reactor(Messenger(channel).call, (channel.name,)),)

    starts = {"order": order, "payment": pay, "inventory": stock, "notification": notify}
    found = {}
    for name in SERVICES:
        start = starts.get(name) or partial(_rules_of, name)
        deciders = start(lambda: 0)
        inputs = sorted({cls.topic for d in deciders for cls in d.inputs})
        found[name] = Service(
            name,
            lambda clock, s=start: [_with_bugs(d, bugs) for d in s(clock)],  # type: ignore[misc]
            (*inputs, f"{name}.admin"),
            (*(d.log for d in deciders), f"{name}.retry"),
        )
    return found


def _with_bugs(decider: Decider[Any], bugs: set[tuple[str, str]]) -> Decider[Any]:
    decide = decider.decide

    def decide_if_understood(message: Any, state: Any) -> Sequence[Any]:
        if bugs and isinstance(message, Message) and (message.name, message.key) in bugs:
            raise RuntimeError(f"a rule does not understand {message.name}")
        return decide(message, state)

    return replace(decider, decide=decide_if_understood)
