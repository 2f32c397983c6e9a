"""Which ports are free on this machine."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Mapping

from tools.stack.settings import StackError, StackSettings


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def free_port() -> int:
    """A port nobody uses at this moment."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """That many different ports nobody uses at this moment.

    They lie below those the system gives to outgoing connections: a client that tries again and again to reach a
    server that is away would some day be given the very port it calls, connect to itself, and keep the server out.
    """
    found: list[int] = []
    for port in random.sample(range(20_000, 32_000), 2_000):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise StackError(f"No {count} free ports between 20000 and 32000.")


def require_free(ports: Mapping[str, int], settings: StackSettings) -> None:
    """Raises StackError, naming who wanted which port and how to move, unless all of them are free."""
    taken = {name: port for name, port in ports.items() if not is_free(port)}
    if taken:
        raise StackError(taken_message(taken, settings))


def taken_message(taken: Mapping[str, int], settings: StackSettings) -> str:
    """One sentence about ports that are in use."""
    names = ", ".join(f"{port} ({name})" for name, port in taken.items())
    moves = []
    if {settings.kafka_port, settings.controller_port} & set(taken.values()):
        moves.append(f"STACK_KAFKA_PORT={settings.kafka_port + 100}")
    if set(taken.values()) - {settings.kafka_port, settings.controller_port}:
        moves.append(f"STACK_PORT_BASE={settings.port_base + 200}")
    plural = "s" if len(taken) > 1 else ""
    verb = "are" if len(taken) > 1 else "is"
    return (
        f"Port{plural} {names} {verb} in use by another program: stop it, "
        f"or move the stack with `{' '.join(moves)} make up`."
    )
