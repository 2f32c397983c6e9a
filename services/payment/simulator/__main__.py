"""``python -m services.payment.simulator``: serves until SIGTERM."""

from __future__ import annotations

import uvicorn

from eventbus.garbage import collect_seldom
from eventbus.private import write_privately
from eventbus.visible import log_visibly
from services.payment.simulator.app import create_app
from services.payment.simulator.settings import SimulatorSettings


def main() -> None:
    """Read the environment and serve."""
    settings = SimulatorSettings()
    write_privately()
    log_visibly("WARNING", "simulator")
    collect_seldom()
    # A caller that tok_timeout keeps waiting must not keep the process from ending.
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        limit_concurrency=2_000,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
