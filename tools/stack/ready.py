"""Waiting until a stack can be used, and what ``up`` does and says when it is."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http import HTTPStatus

from tools.stack.settings import API_KEY, SERVICES, StackError, StackSettings, access_is_on, credentials

PAUSE = 0.15
OPEN = "Access control is off: whoever reaches these may do everything. docs/how-to/control-access.md turns it on."
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def request(
    url: str,
    body: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 5.0,
) -> tuple[int, str]:
    """GET, or POST ``body`` as JSON; gives status and text. Status 0 means: nobody answered."""
    data = None if body is None else json.dumps(body).encode()
    full = {**({"content-type": "application/json"} if data else {}), **(headers or {})}
    try:
        with _opener.open(urllib.request.Request(url, data, full), timeout=timeout) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError as error:
        return 0, str(error)


def is_ready(url: str) -> bool:
    """Whether the service at ``url`` says that it may be sent traffic."""
    return request(f"{url}/readyz", timeout=2.0)[0] == HTTPStatus.OK


def wait_ready(
    probes: Mapping[str, Callable[[], bool]], timeout: float, gave_up: Callable[[set[str]], str]
) -> None:
    """Return once every probe has been true.

    ``gave_up(waiting)`` is asked in every round and explains why waiting longer is of no use, or returns "".
    Raises StackError naming what is not ready.
    """
    deadline = time.monotonic() + timeout
    waiting = dict(probes)
    while True:
        waiting = {name: probe for name, probe in waiting.items() if not probe()}
        if not waiting:
            return
        names = ", ".join(sorted(waiting))
        if reason := gave_up(set(waiting)):
            raise StackError(f"{names}: not ready, {reason}.")
        if time.monotonic() > deadline:
            raise StackError(f"{names}: not ready after {timeout:.0f} s.")
        time.sleep(PAUSE)


def stock_demo_product(inventory_url: str) -> None:
    """Put 1000 of ``demo-widget`` in stock, once: the idempotency key makes a second time harmless."""
    body = {"quantity": 1000, "reason": "demo"}
    url = f"{inventory_url}/stock/demo-widget/adjustments"
    headers = {"Idempotency-Key": "stack-demo-widget", **credentials()}
    status, text = request(url, body, headers, timeout=10.0)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        print(f"The demo product is not in stock: that needs a key with the scope stock, in {API_KEY}.")
        return
    if status not in (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED):
        raise StackError(f"The demo product could not be put in stock: POST {url} gave {status} {text[:300]}")


def curl_line(settings: StackSettings) -> str:
    """The order a newcomer tries first; it ends CONFIRMED."""
    item = '{"productId":"demo-widget","quantity":1,"unitPrice":"2.55"}'
    body = f'{{"userId":"u1","items":[{item}],"currency":"GBP","paymentMethod":"tok_ok"}}'
    key = f'-H "Authorization: Bearer ${API_KEY}" ' if credentials() else ""
    return (
        f"curl -sS -X POST '{settings.url('order')}/orders' {key}-H 'content-type: application/json' "
        f"-H 'Prefer: wait=5' -d '{body}'"
    )


def summary(
    settings: StackSettings,
    scale: Mapping[str, int],
    seconds: float,
    notifications: str,
    mail: bool = False,
    gateway: str = "",
) -> str:
    """What ``up`` prints when all is ready. ``gateway``: where any replica of a service answers, if that is said."""
    lines = [f"Ready after {seconds:.1f} s."]
    for name in SERVICES:
        where = f"{settings.url(name)}  (API: {settings.url(name)}/docs)"
        lines.append(f"  {name:<13} {where if scale[name] else f'none: make scale {name}=1 starts one'}")
    if gateway:
        lines.append(f"  {'gateway':<13} {gateway}")
    lines += [
        f"  {'simulator':<13} http://127.0.0.1:{settings.simulator_port}",
        f"  {'kafka':<13} {settings.bootstrap_servers}",
        f"  notifications {notifications}",
        *([f"  {'inbox':<13} http://127.0.0.1:{settings.inbox_port}  (mails to customers)"] if mail else []),
        *([] if access_is_on(os.environ) else [OPEN]),
        "Try:",
        f"  {curl_line(settings)}",
        "Then: make ps, make logs, make scale payment=3, make demo, make audit, make down",
    ]
    return "\n".join(lines)
