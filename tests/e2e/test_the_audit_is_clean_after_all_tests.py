"""Money, stock and orders are right after everything that the other tests did to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.e2e.running import ROOT, Stack


@pytest.mark.last
def test_the_audit_is_clean(system: Stack) -> None:
    command = [sys.executable, "-m", "verification.audit", "--wait", "30"]
    done = subprocess.run(
        command, cwd=ROOT, env=system.shell_env(), capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stdout + done.stderr
