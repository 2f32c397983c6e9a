"""The latest version of a message as an older major version says it."""

from __future__ import annotations

from typing import Any

from eventbus.model.errors import Unrepresentable

Record = dict[str, Any]


def _counters_to_units(record: Record) -> Record:
    """Version 1 knows exactly one counter."""
    match record["counters"]:
        case [{"name": "", "units": units}]:
            return {**record, "units": units}
        case counters:
            raise Unrepresentable(f"version 1 has one counter without a name, not {len(counters)} counters")


DOWNCASTS = {("MeterRead", 1): _counters_to_units}
