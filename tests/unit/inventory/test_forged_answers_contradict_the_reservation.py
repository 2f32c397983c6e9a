"""An answer that contradicts the reservation is a dead letter, and the genuine answer still applies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eventbus import Mismatch
from eventbus.testing import given
from schemas import (
    StockAnswered,
)
from services.inventory.reservation import reservation_decider
from tests.unit.inventory.reservations import (
    CREATED,
    HISTORIES,
    POT_RELEASED,
    RELEASED,
    an_order,
    answer,
)


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize(
    ("forged", "genuine"),
    [
        (answer("cup", "RESERVED", 4), answer("cup", "RESERVED", 5)),
        (answer("cup", "REFUSED", 3), answer("cup", "REFUSED", 5)),
        (answer("cup", "RELEASED", 9), answer("cup", "RELEASED", 5)),
        (answer("cup", "SHIPPED", -5), answer("cup", "SHIPPED", 5)),
    ],
    ids=lambda a: f"{a.outcome} {a.quantity}",
)
def test_forged_answers_contradict_the_reservation(
    forged: StockAnswered, genuine: StockAnswered, history: str
) -> None:
    scenario = an_order(history)
    over = forged.outcome in ("RELEASED", "SHIPPED") and history.startswith(("RELEASING", "SHIPPING"))
    if history in ("NEW", "VOIDED") or over:
        scenario.when(forged)  # nothing was asked for, or: any quantity may be released meanwhile
        return
    with pytest.raises(
        Mismatch, match=r"StockAnswered of order 'o1' is .* product 'cup', but 5 were asked for"
    ):
        scenario.when(forged)
    scenario.when(genuine)


def test_forged_shortage_of_nothing_fails_no_order() -> None:
    """Somebody asked to ship what was not reserved yet: the stock half refuses that with quantity 0."""
    with pytest.raises(Mismatch):
        an_order("RESERVING").when(answer("pot", "REFUSED", 0))


def test_forged_orders_that_contradict_themselves_reserve_nothing() -> None:
    with pytest.raises(Mismatch, match=r"has a total of 0.01 GBP, but its items are worth 24.02 GBP"):
        given(reservation_decider()).when(replace(CREATED, total_amount=1))


def test_what_somebody_reserved_past_the_order_is_still_given_back_with_it() -> None:
    """Nine cups are held under the order's id, which is not what it asked for; its release gives them back."""
    scenario = an_order("RELEASING, settled").when(answer("cup", "RELEASED", 9))
    scenario.when(answer("pot", "RELEASED", 0)).then(POT_RELEASED, RELEASED)
