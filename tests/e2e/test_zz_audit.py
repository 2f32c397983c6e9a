"""After all that was done to it, the books of the system balance."""

from __future__ import annotations

import subprocess
import sys

from tests.e2e.running import ROOT, Stack


def test_the_audit_is_clean(system: Stack) -> None:
    command = [sys.executable, "-m", "verification.audit", "--wait", "30"]
    done = subprocess.run(
        command, cwd=ROOT, env=system.shell_env(), capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stdout + done.stderr
