"""The verbs of ``make`` mean the same on both ways to run."""

from __future__ import annotations

import json
import stat
import subprocess
import sys

import httpx
import pytest

from tests.e2e.running import ROOT, SERVICES, LocalStack, Stack
from tests.e2e.shop import Shop, order_of
from tests.e2e.waiting import until


def test_the_line_that_up_prints_ends_confirmed(system: Stack) -> None:
    (line,) = [line for line in system.up_printed.splitlines() if line.strip().startswith("curl ")]
    done = subprocess.run(
        ["bash", "-c", line], env=system.shell_env(), capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "CONFIRMED"


def test_ps_lists_every_process(system: Stack) -> None:
    printed = system.verb("ps")
    assert all(name in printed for name in ("kafka", "simulator", *SERVICES))


@pytest.mark.parametrize("service", ["order", "payment"])
def test_logs_show_what_was_logged(system: Stack, service: str) -> None:
    assert len(system.verb("logs", service).splitlines()) > 5


def test_three_replicas_of_payment_share_the_work(system: Stack, shop: Shop) -> None:
    product = shop.stocked(100)
    printed = system.verb("scale", "payment=3")
    rows = [line for line in printed.splitlines() if "payment" in line and "simulator" not in line]
    assert len(rows) == 3, printed
    orders = [shop.accepted(order_of(product)) for _ in range(30)]
    assert {shop.settled(order_id)["status"] for order_id in orders} == {"CONFIRMED"}
    system.verb("scale", "payment=1")
    orders += [shop.accepted(order_of(product)) for _ in range(10)]
    assert {shop.settled(order_id)["status"] for order_id in orders} == {"CONFIRMED"}
    assert [shop.movements(order_id) for order_id in orders] == [[("CHARGE", 250)]] * 40


def test_restart_replaces_the_replicas_of_one_service_while_orders_go_on(system: Stack, shop: Shop) -> None:
    product = shop.stocked(100)
    system.verb("scale", "payment=2")
    before = system.pids() if isinstance(system, LocalStack) else {}
    restart = subprocess.Popen(
        [sys.executable, "-m", "tools.stack", "restart", "payment"],
        cwd=ROOT,
        env=system.shell_env(),
        stdout=subprocess.PIPE,
        text=True,
    )
    orders = [shop.accepted(order_of(product)) for _ in range(20)]
    printed, _ = restart.communicate(timeout=300)
    assert restart.returncode == 0 and len(printed.splitlines()) == 2, printed
    if isinstance(system, LocalStack):
        gone = {name for name, pid in before.items() if system.pids().get(name) != pid}
        assert gone == {"payment", "payment-1"}
    assert {shop.settled(order_id)["status"] for order_id in orders} == {"CONFIRMED"}
    system.verb("scale", "payment=1")
    assert [shop.movements(order_id) for order_id in orders] == [[("CHARGE", 250)]] * 20


def test_a_service_that_up_leaves_out_is_scaled_like_any_other(system: Stack, shop: Shop) -> None:
    order_id = shop.accepted(order_of(shop.stocked(10)))
    assert "fraud" not in system.verb("ps").split()
    printed = system.verb("scale", "fraud=1")
    assert any("fraud" in line for line in printed.splitlines()), printed
    assert screened(system, order_id) == "OrderCleared"
    assert len(system.verb("logs", "fraud").splitlines()) > 5
    system.verb("scale", "fraud=0")
    assert not system.is_ready("fraud")


def test_a_service_that_up_leaves_out_runs_while_its_log_is_watched(system: Stack, shop: Shop) -> None:
    order_id = shop.accepted(order_of(shop.stocked(10)))
    watching = subprocess.Popen(
        [sys.executable, "-m", "tools.stack", "run", "fraud"], cwd=ROOT, env=system.shell_env()
    )
    try:
        system.await_ready("fraud")
        assert screened(system, order_id) == "OrderCleared"
    finally:
        watching.terminate()
        assert watching.wait(60.0) == 0
    assert not system.is_ready("fraud")


def screened(system: Stack, order_id: str) -> str:
    """What the example of a fifth service says of an order."""

    def verdict() -> str | None:
        answer = httpx.get(f"{system.url('fraud')}/screenings/{order_id}", trust_env=False)
        return str(answer.json()["verdict"]) if answer.status_code == 200 else None

    return until(verdict, 20.0, "the order is screened")


def test_what_is_known_outlives_down_and_up(system: Stack, shop: Shop) -> None:
    product = shop.stocked(10)
    order_id = shop.confirmed(order_of(product, quantity=4))
    order, events = shop.get(order_id), shop.events(order_id)
    system.verb("down")
    assert not any(system.is_ready(service) for service in SERVICES)
    system.verb("up")
    assert (shop.get(order_id), shop.events(order_id)) == (order, events)
    assert shop.stock(product) == (6, 4)
    assert shop.change(order_id, "cancel").status_code == 202
    until(lambda: shop.stock(product) == (10, 0), 20.0, "what was reserved before is released")
    shop.await_fields(order_id, payment="REFUNDED")


def test_nothing_that_a_running_stack_writes_can_be_read_by_others(stack: LocalStack) -> None:
    found = {path: path.lstat().st_mode for path in stack.run_dir.rglob("*")}
    open_to_others = {str(path): stat.filemode(mode) for path, mode in found.items() if mode & 0o077}
    written = {path.name for path in found}
    assert {"stack.json", "supervisord.conf", "order.log", "state.sqlite", "payments.db"} <= written
    assert open_to_others == {}
