"""One process of a service: the processor on its thread, HTTP on the event loop, a watchdog over both."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Protocol

import uvicorn
from fastapi import FastAPI

from eventbus.codec import Codec
from eventbus.http.app import create_app
from eventbus.http.connections import Refusals, raise_descriptors
from eventbus.http.edge import Hosts
from eventbus.http.server import HttpServer
from eventbus.kafka.cluster import Cluster
from eventbus.model.decider import Decider
from eventbus.model.errors import EventBusError, Unavailable
from eventbus.private import write_privately
from eventbus.processing import skips
from eventbus.processing.assembly import assemble
from eventbus.processing.calls import Calls
from eventbus.processing.ports import AfterStep, Ports
from eventbus.processing.processor import Processor
from eventbus.service.bus import Bus
from eventbus.service.dry_run import preview_route
from eventbus.service.slot import Slot
from eventbus.settings import Settings
from eventbus.state.store import Store
from eventbus.visible import log_visibly

log = logging.getLogger("eventbus.runtime")


class Routes(Protocol):
    """Adds the HTTP interface of a service to its application."""

    def __call__(self, app: FastAPI, bus: Bus, /) -> None: ...


@dataclass(frozen=True)
class Service:
    """What a service is made of. Its name is its consumer group; ``routes`` adds its HTTP interface."""

    name: str
    deciders: tuple[Decider[Any], ...]
    schemas: tuple[str, ...]
    """The schema packages with the messages it reads and writes, such as ``schemas``."""
    routes: Routes | None = None
    port: int = 0
    on_start: Callable[[], Any] | None = None
    """Awaited on the event loop before anything else, where it gives an awaitable."""
    watches: tuple[str, ...] = ()
    """Retry topics of other services whose waiting messages this service shows (``Bus.held``)."""
    on_stop: Callable[[], Any] | None = None


def http_routes(own: Routes | None, bus: Bus) -> list[Callable[[FastAPI], None]]:
    """What a replica answers beside health and metrics: the dry run of operators, and the service's own routes."""

    def with_bus(routes: Routes) -> Callable[[FastAPI], None]:
        return lambda app: routes(app, bus)

    return [with_bus(routes) for routes in (preview_route, own) if routes]


def serve(
    service: Service,
    settings: Settings | None = None,
    *,
    after_step: AfterStep = lambda step, count: None,
) -> None:
    """Run one replica of a service until SIGTERM or SIGINT. Ends the process with 1 if it may not go on.

    ``after_step`` is called by the processor after each of its steps; tests crash the process there.
    """
    settings = settings or Settings()
    write_privately()
    log_visibly(settings.log_level, service.name)
    # Two threads share the interpreter: the processor must not wait 5 ms for its turn after each call of the client.
    sys.setswitchinterval(0.001)
    # What is imported stays for good, and messages have no cycles: looking for some took a fifth of the time.
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        failed = runner.run(Replica(service, settings, after_step).run())
    if failed:
        log.critical("%s ends: %s: %s", service.name, type(failed).__name__, failed)
        # Threads that hang on a dead connection must not keep a failed process alive.
        logging.shutdown()
        os._exit(1)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


class Replica:
    """One running process of a service."""

    def __init__(self, service: Service, settings: Settings, after_step: AfterStep) -> None:
        self.service, self.settings, self._after_step = service, settings, after_step
        self.processor: Processor | None = None
        self._failure: BaseException | None = None
        self._stopping = threading.Event()

    async def run(self) -> BaseException | None:
        """Serve until told to stop; returns what made it fail, if anything did."""
        loop = asyncio.get_running_loop()
        try:
            slot = Slot(self.settings.state_dir, self.service.name, self.settings.slot)
        except EventBusError as error:
            return error
        codec = Codec(*self.service.schemas)
        self._calls = Calls(loop, self.settings)
        self._bus = Bus(self.service.name, self.settings, codec, loop)
        if self.service.on_start:
            await self.service.on_start()
        app = create_app(
            self.service.name,
            why_not_ready=self.why_not_ready,
            max_body=self.settings.max_body,
            routes=http_routes(self.service.routes, self._bus),
            hosts=Hosts(self.settings.http_host, self.settings.allowed_hosts()),
            refusals=(refusals := Refusals()),
        )
        server = HttpServer(
            app,
            self.settings.http_host,
            self.settings.http_port or self.service.port,
            self.settings.http_limits(raise_descriptors()),
            refusals,
        )
        thread = threading.Thread(
            target=self._work, args=(codec, slot, server), name="processor", daemon=True
        )
        watchdog = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, server)
        thread.start()
        watchdog.start()
        try:
            await server.serve()
        except SystemExit:
            self._failure = self._failure or OSError(
                f"port {server.config.port} cannot be listened on: is another process using it?"
            )
        self._stop(server)
        await asyncio.to_thread(thread.join, 30.0)
        await asyncio.to_thread(self._bus.close)
        if self.service.on_stop:
            await self.service.on_stop()
        slot.release()
        return self._failure

    def why_not_ready(self) -> str:
        """Why this replica may not be sent traffic; empty if it may."""
        if self.processor and (stops := self.processor.stops()):
            return "; ".join(stop.reason for stop in stops.values())
        ready = self.processor is not None and self.processor.ready and self._bus.fresh()
        return "" if ready else "this replica is catching up"

    def _stop(self, server: uvicorn.Server) -> None:
        self._stopping.set()
        server.should_exit = True
        if self.processor:
            self.processor.stop()

    def _work(self, codec: Codec, slot: Slot, server: uvicorn.Server) -> None:
        """The processor's thread."""
        try:
            cluster = self._discover()
            if cluster is None:
                return
            path = slot.directory / "state.sqlite"
            deciders = self.service.deciders
            retry = f"{self.service.name}.retry"
            store = Store(path, deciders, retry=retry)
            for forgotten in store.adopt(cluster.id, cluster.topic_ids):
                log.info("the state of %s is rebuilt from its beginning", forgotten)
            ports = Ports(store, self._calls, publish=self._bus.progress.publish, after_step=self._after_step)
            parts = assemble(
                self.service.name,
                deciders,
                self.settings,
                codec,
                cluster.partitions,
                ports,
                transactional_id=slot.transactional_id,
                version=_version(),
                watches=self.service.watches,
            )
            self.processor = Processor(parts)
            self._bus.attach(
                Store(path, deciders, retry=retry, read_only=True),
                self.processor.health,
                cluster.partitions,
                self.processor.positions,
                self.processor.stops,
            )
            if self._stopping.is_set():
                self.processor.stop()
            log.info("slot %d, %d partitions, state in %s", slot.number, cluster.partitions, path)
            self.processor.run()
            store.close()
        except BaseException as error:
            self._failure = error
            log.error("the processor failed", exc_info=error)
            server.should_exit = True

    def _discover(self) -> Cluster | None:
        """The cluster, as soon as it answers; None if told to stop before that."""
        topics = sorted({c.topic for d in self.service.deciders for c in d.inputs})
        topics += [d.log for d in self.service.deciders]
        topics += [f"{self.service.name}.{beside}" for beside in ("retry", "dlq", "admin")]
        topics += self.service.watches
        while not self._stopping.is_set():
            try:
                return Cluster(self.settings, topics, beside=[skips.TOPIC])
            except Unavailable as error:
                log.warning("waiting for Kafka: %s", error)
                self._stopping.wait(1.0)
        return None

    def _watch(self) -> None:
        """End the process if its loop stands still: some calls of the client have been seen never to return."""
        while not self._stopping.wait(1.0):
            processor = self.processor
            if processor and time.monotonic() - processor.turned_at > self.settings.watchdog:
                log.critical(
                    "the loop has stood still for %.0f s; ending the process", self.settings.watchdog
                )
                faulthandler.dump_traceback(all_threads=True)
                os._exit(70)


def _version() -> str:
    try:
        return metadata.version("eventbus")
    except metadata.PackageNotFoundError:
        return "0"
