"""``python -m services.payment.simulator``: serves until SIGTERM."""

from __future__ import annotations

import uvicorn

from services.payment.simulator.app import create_app
from services.payment.simulator.settings import SimulatorSettings


def main() -> None:
    """Read the environment and serve."""
    settings = SimulatorSettings()
    # A caller that tok_timeout keeps waiting must not keep the process from ending.
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        limit_concurrency=2_000,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
