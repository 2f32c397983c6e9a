"""``python -m tools.schema_registry serve`` serves the schema files, ``register`` fills a registry with them."""

from __future__ import annotations

import asyncio
import os
import sys

from eventbus.codec import load_packages
from eventbus.model.errors import EventBusError
from eventbus.registry.agreement import Entry, entries
from eventbus.registry.api import RegistryApi
from eventbus.settings import RegistrySettings
from tools.registry import SCHEMAS
from tools.schema_registry.answers import SchemaFiles
from tools.schema_registry.register import Filled, fill
from tools.schema_registry.server import SchemaServer
from tools.stack.settings import StackError, StackSettings


def main(arguments: list[str]) -> int:
    if arguments not in (["serve"], ["register"]):
        print("give one of: serve, register", file=sys.stderr)
        return 2
    try:
        known = entries(load_packages(SCHEMAS))
        return serve(known) if arguments == ["serve"] else register(known)
    except (EventBusError, StackError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


def serve(known: list[Entry]) -> int:
    """Serve until Ctrl-C."""
    settings = StackSettings.from_env(os.environ)
    try:
        server = SchemaServer(SchemaFiles(known), settings.registry_port)
    except OSError as error:
        raise StackError(
            f"Port {settings.registry_port} cannot be listened on ({error.strerror}): is `make registry` running "
            "already? Else move it with STACK_PORT_BASE."
        ) from error
    print(
        f"A schema registry of {len(known)} versions from the files, read-only: {server.url} (until Ctrl-C)\n"
        f"  curl -sS {server.url}/subjects\n"
        f"  kcat -C -e -b {settings.bootstrap_servers} -t order.events -s value=avro -r {server.url}",
        flush=True,
    )
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
    return 0


def register(known: list[Entry]) -> int:
    """Fill the registry of the environment, and say under which ids it has the schemas."""
    settings = RegistrySettings()
    if not settings.url:
        print(
            "Say which registry: SCHEMA_REGISTRY_URL=http://127.0.0.1:8081 make schema-register",
            file=sys.stderr,
        )
        return 2

    async def filled() -> Filled:
        api = RegistryApi(settings)
        try:
            return await fill(api, known)
        finally:
            await api.close()

    print(f"{settings.url}: {asyncio.run(filled())}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
