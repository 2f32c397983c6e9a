"""The bare services of the bench carry orders to CONFIRMED on a real broker, and one that ended is named."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path

from bench.bare.flow.records import SERVICES
from bench.bare_flow import BareFlow
from bench.processes import NotMeasured
from bench.rows.cost import carried
from bench.run import Run
from tests.support.waiting import eventually


def test_orders_are_confirmed_until_a_service_ends(tmp_path: Path) -> None:
    with ExitStack() as stack, BareFlow(Run(tmp_path, stack)) as flow:
        measured = carried(flow, 8, 0.0, 1.0)
        assert measured.done > 0
        assert {name for name, cost in measured.costs.items() if cost} >= {*SERVICES, "app", "simulator"}

        os.kill(flow.pids["inventory"], signal.SIGKILL)
        eventually(lambda: said_to_have_ended(flow), "the bench.bare.flow of inventory is said to have ended")


def said_to_have_ended(flow: BareFlow) -> bool:
    try:
        flow.check()
    except NotMeasured as error:
        return "bench.bare.flow ended" in str(error) and "flow-inventory.log" in str(error)
    return False
