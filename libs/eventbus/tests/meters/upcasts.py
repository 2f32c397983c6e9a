"""What Avro's resolution alone cannot do for a message of an older major version."""

from __future__ import annotations

from typing import Any

Record = dict[str, Any]


def _units_to_counters(record: Record) -> Record:
    """Version 1 knew one counter, without a name."""
    return {**record, "counters": [{"name": "", "units": record["units"], "digits": 6}]}


UPCASTS = {("MeterRead", 1): _units_to_counters}
