"""A replica stands still for longer than its session and goes on: what it was about to write must not be written."""

from __future__ import annotations

import time

import pytest

from tests.chaos.conftest import OpenSite
from tests.chaos.trial import load, more_settle, others_lead


@pytest.mark.parametrize("seconds", [8.0, pytest.param(30.0, marks=pytest.mark.slow)])
def test_a_zombie_does_not_write(open_site: OpenSite, seconds: float) -> None:
    services = ("order", "payment", "inventory")
    site = open_site(dict.fromkeys(services, 2))
    with load(site) as shopping:
        frozen_at = time.monotonic()
        for service in services:
            site.child(f"{service}-1").freeze()
        others_lead(site, services, timeout=30)
        more_settle(shopping)
        time.sleep(max(0.0, frozen_at + seconds - time.monotonic()))
        for service in services:
            site.child(f"{service}-1").thaw()
        more_settle(shopping)
