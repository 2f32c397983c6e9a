"""The OpenAPI documents of the services, as each serves its own at ``/openapi.json``. Nothing is started.

``python -m tools.openapi order`` prints one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any, cast

from eventbus import Bus
from eventbus.cli.creation import load
from eventbus.http.app import create_app
from eventbus.service.runtime import http_routes
from tools.registry import STARTED, Service

Document = dict[str, Any]


def documents(services: Iterable[Service] = STARTED) -> dict[str, Document]:
    """By the names of the services. Their ``service()`` reads the environment."""
    return {service.name: _document(service) for service in services}


def _document(service: Service) -> Document:
    nobody_asks = cast(Bus, object())
    routes = http_routes(load(service.wiring).routes, nobody_asks)
    app = create_app(service.name, why_not_ready=lambda: "", max_body=0, routes=routes)
    return json.loads(json.dumps(app.openapi()))  # type: ignore[no-any-return]


if __name__ == "__main__":
    found = documents()
    print(json.dumps({name: found[name] for name in sys.argv[1:]} if sys.argv[1:] else found, indent=2))
