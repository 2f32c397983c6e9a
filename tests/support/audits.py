"""The audit of a system that a test has started."""

from __future__ import annotations

from tests.support.system import SERVICES, Simulator, System
from tools.system import System as Address
from verification.audit.judge import AuditResult
from verification.audit.run import audit


def audit_of(system: System, simulator: Simulator | None, wait: float = 30.0) -> AuditResult:
    """Audit the topics, and the gateway's record if there is a simulator. ``wait`` is in seconds, as in ``audit``."""
    gateway = f"http://127.0.0.1:{simulator.process.port}" if simulator else ""
    address = Address(order="", inventory="", gateway=gateway, kafka=system.settings)
    return audit(address, wait=wait, with_gateway=simulator is not None)


def assert_clean_audit(system: System, simulator: Simulator) -> None:
    """Once all services have decided everything: no rule is broken, no order is open, none has a dead letter."""
    system.wait_consumed(*SERVICES)
    result = audit_of(system, simulator)
    assert result.clean, result.violations
    assert not result.open and not result.dead
