"""Where a running system answers: for the tools that look at it from outside."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass

from eventbus import Settings
from tools.stack.settings import StackSettings


@dataclass(frozen=True)
class System:
    """Base URLs without a trailing slash, and what it takes to reach Kafka."""

    order: str
    inventory: str
    gateway: str
    kafka: Settings


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that say where the system is; by default it is the local stack (``STACK_*``)."""
    group = parser.add_argument_group("where the system is")
    group.add_argument("--order-url", help="order service (default: that of the local stack)")
    group.add_argument("--inventory-url", help="inventory service (default: that of the local stack)")
    group.add_argument(
        "--gateway-url", help="payment simulator (default: PAYMENT_GATEWAY_URL, or the local stack's)"
    )
    group.add_argument(
        "--bootstrap-servers", help="Kafka (default: EVENTBUS_BOOTSTRAP_SERVERS, or the local stack's)"
    )
    group.add_argument("--topic-prefix", help="before every topic (default: EVENTBUS_TOPIC_PREFIX)")


def find(options: argparse.Namespace) -> System:
    """The system that options, environment and defaults name. Raises StackError for nonsense in ``STACK_*``."""
    stack = StackSettings.from_env(os.environ)
    servers = (
        options.bootstrap_servers or os.environ.get("EVENTBUS_BOOTSTRAP_SERVERS") or stack.bootstrap_servers
    )
    kafka = Settings(bootstrap_servers=servers)
    if options.topic_prefix is not None:
        kafka = kafka.model_copy(update={"topic_prefix": options.topic_prefix})
    gateway = options.gateway_url or os.environ.get("PAYMENT_GATEWAY_URL")
    return System(
        order=(options.order_url or stack.url("order")).rstrip("/"),
        inventory=(options.inventory_url or stack.url("inventory")).rstrip("/"),
        gateway=(gateway or f"http://127.0.0.1:{stack.simulator_port}").rstrip("/"),
        kafka=kafka,
    )
