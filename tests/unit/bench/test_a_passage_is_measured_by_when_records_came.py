"""Records in a second, from the times at which the broker got them."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.parts.passage import rate_of
from bench.processes import NotMeasured


def test_what_came_after_the_first_ms_counts_by_the_time_it_took() -> None:
    assert rate_of(Counter({1_000: 500, 1_500: 200, 2_000: 300})) == 500.0


def test_the_order_of_times_does_not_matter() -> None:
    assert rate_of(Counter({2_000: 10, 1_000: 1})) == rate_of(Counter({1_000: 1, 2_000: 10})) == 10.0


def test_records_that_all_came_at_once_give_no_rate() -> None:
    with pytest.raises(NotMeasured, match=r"7 records are too few"):
        rate_of(Counter({1_000: 7}))
