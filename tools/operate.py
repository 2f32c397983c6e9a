"""``bin/eventbus …``, ``make dlq | tail | skip | key``: ``eventbus …`` for the local stack (``STACK_*``)."""

from __future__ import annotations

import os
import sys

from eventbus.cli import main
from eventbus.cli.key import FILE as KEY_FILE
from eventbus.cli.options import SCHEMAS, URLS
from tools import registry
from tools.stack.settings import SERVICES, StackError, StackSettings


def environment() -> dict[str, str]:
    """Where the stack's Kafka and services are. Raises StackError for nonsense in ``STACK_*``."""
    stack = StackSettings.from_env(os.environ)
    return {
        "EVENTBUS_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
        SCHEMAS: " ".join(registry.SCHEMAS),
        KEY_FILE: str(stack.run_dir / "access" / "keys.jsonl"),
        URLS: " ".join(f"{service}={stack.url(service)}" for service in SERVICES),
    }


if __name__ == "__main__":
    try:
        for name, value in environment().items():
            os.environ.setdefault(name, value)
    except StackError as error:
        sys.exit(str(error))
    main()
