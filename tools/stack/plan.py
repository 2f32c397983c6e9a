"""What runs where: the processes of a local stack with their environment and ports. Pure."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from tools.registry import BY_NAME, STARTED
from tools.stack import gateway
from tools.stack.settings import ROOT, SERVICES, Record, StackSettings
from tools.stack.supervisor import Program


def program_name(service: str, replica: int) -> str:
    """``payment`` for the first replica, ``payment-1`` for the next."""
    return service if replica == 0 else f"{service}-{replica}"


def defaults() -> dict[str, str]:
    """What holds unless the environment says otherwise: by the registry, and since this is one stack."""
    return {
        "ORDER_WATCHED": ",".join(service.name for service in STARTED if service.name != "order"),
        "EVENTBUS_OLD_HEADERS": "false",  # its replicas have one code, so none reads old names only
    }


def service_env(settings: StackSettings, passed: Mapping[str, str]) -> dict[str, str]:
    """The environment all processes share: what is passed on, then what the stack decides."""
    return {
        **defaults(),
        **passed,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'libs' / 'eventbus'}",
        "PYTHONUNBUFFERED": "1",
        "EVENTBUS_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "EVENTBUS_STATE_DIR": str(settings.run_dir / "state"),
        "PAYMENT_GATEWAY_URL": f"http://127.0.0.1:{settings.simulator_port}",
        "NOTIFICATION_FILE": str(settings.run_dir / "notifications.log"),
        "STACK_RUN_DIR": str(settings.run_dir),
    }


def _for_service(service: str, env: Mapping[str, str]) -> dict[str, str]:
    """The environment without what is meant for other services, so that a change of it restarts none of these."""
    others = tuple(f"{name.upper()}_" for name in SERVICES if name != service)
    return {name: value for name, value in env.items() if not name.startswith(others)}


def programs(settings: StackSettings, record: Record, broker: list[str], haproxy: str = "") -> list[Program]:
    """Every process of the stack, in the order they start. ``haproxy``: its path, if there is to be a gateway."""
    env = service_env(settings, record.env)
    simulator = {
        **_for_service("payment", env),
        "SIMULATOR_PORT": str(settings.simulator_port),
        "SIMULATOR_DB": str(settings.run_dir / "simulator" / "payments.db"),
    }
    found = [
        Program("kafka", broker, {"STACK_RUN_DIR": env["STACK_RUN_DIR"]}, stop_wait=60),
        Program("simulator", [sys.executable, "-m", "services.payment.simulator"], simulator),
    ]
    if record.mail:
        inbox = {
            "PYTHONPATH": env["PYTHONPATH"],
            "PYTHONUNBUFFERED": "1",
            "STACK_RUN_DIR": env["STACK_RUN_DIR"],
            "INBOX_SMTP_PORT": str(settings.mail_port),
            "INBOX_PORT": str(settings.inbox_port),
            "INBOX_DIRECTORY": str(settings.run_dir / "mail"),
        }
        found.append(Program("inbox", [sys.executable, "-m", "tools.inbox"], inbox))
    for service in SERVICES:
        for replica in range(record.scale[service]):
            port = {"EVENTBUS_HTTP_PORT": str(settings.port(service, replica))}
            command = [sys.executable, "-m", BY_NAME[service].package]
            found.append(
                Program(program_name(service, replica), command, {**_for_service(service, env), **port})
            )
    return [*found, gateway.program(settings, haproxy)] if haproxy else found


def ports(
    settings: StackSettings, scale: Mapping[str, int], mail: bool = False, with_gateway: bool = False
) -> dict[str, int]:
    """Process name to the port it listens on; further ports of a process stand behind its name and a dash.

    ``mail``: with the inbox, which has two.
    """
    inbox = {"inbox": settings.inbox_port, "inbox-smtp": settings.mail_port} if mail else {}
    of_gateway = {f"{gateway.NAME}-{s}": settings.gateway_port(s) for s in SERVICES if scale[s]}
    return {
        **inbox,
        **(of_gateway if with_gateway else {}),
        "kafka": settings.kafka_port,
        "kafka-controller": settings.controller_port,
        "simulator": settings.simulator_port,
        **{program_name(s, k): settings.port(s, k) for s in SERVICES for k in range(scale[s])},
    }
