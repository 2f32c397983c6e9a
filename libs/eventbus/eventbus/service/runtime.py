"""One process of a service: the processor on its thread, HTTP on the event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable

from fastapi import FastAPI

from eventbus.garbage import collect_seldom
from eventbus.http.access import Access
from eventbus.http.app import create_app
from eventbus.http.connections import Refusals, raise_descriptors
from eventbus.http.edge import Hosts
from eventbus.http.server import HttpServer
from eventbus.loopback import is_loopback
from eventbus.model.errors import EventBusError
from eventbus.private import write_privately
from eventbus.processing.ports import AfterStep
from eventbus.service.bus import Bus, BusParts
from eventbus.service.definition import Routes, Service
from eventbus.service.dry_run import preview_route
from eventbus.service.processor_thread import ProcessorThread
from eventbus.service.published import Published
from eventbus.service.slot import Slot
from eventbus.settings import AccessSettings, Settings
from eventbus.visible import log_visibly

log = logging.getLogger("eventbus.runtime")


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
    collect_seldom()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        failure = runner.run(_run(service, settings, after_step))
    if failure:
        log.critical("%s ends: %s: %s", service.name, type(failure).__name__, failure)
        # Threads that hang on a dead connection must not keep a failed process alive.
        logging.shutdown()
        os._exit(1)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _run(service: Service, settings: Settings, after_step: AfterStep) -> BaseException | None:
    """Serve until stopped; returns what made the replica fail, if anything did."""
    try:
        slot = Slot(settings.state_dir, service.name, settings.slot)
        if service.on_start:
            await service.on_start()
        replica = Replica(service, settings, slot, after_step)
    except EventBusError as error:
        return error
    failure = await replica.run()
    if service.on_stop:
        await service.on_stop()
    slot.release()
    return failure


class Replica:
    """One running process of a service. HTTP answers from the beginning, also while Kafka is away."""

    def __init__(self, service: Service, settings: Settings, slot: Slot, after_step: AfterStep) -> None:
        self._bus_parts = Published[BusParts]("this replica has not reached Kafka yet")
        self._bus = Bus(service.name, settings, self._bus_parts, service.sends)
        self._access = Access.of(AccessSettings())
        self._server = self._http_server(service, settings)
        self._processing = ProcessorThread(
            service,
            settings,
            slot,
            asyncio.get_running_loop(),
            self._bus_parts,
            after_step,
            on_failure=self._end_http,
        )

    def _http_server(self, service: Service, settings: Settings) -> HttpServer:
        refusals = Refusals()
        port, limits = settings.http_port or service.port, settings.http_limits(raise_descriptors())
        app = create_app(
            service.name,
            why_not_ready=self.why_not_ready,
            max_body=settings.max_body,
            routes=http_routes(service.routes, self._bus),
            rules=service.rules,
            access=self._access,
            hosts=Hosts(settings.http_host, settings.allowed_hosts()),
            refusals=refusals,
            limits=limits,
        )
        return HttpServer(app, settings.http_host, port, limits, refusals, on_shutdown=self._bus.end)

    async def run(self) -> BaseException | None:
        """Serve until stopped; returns what made the replica fail, if anything did."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop)
        _say_who_may_call(self._access, self._server.config.host)
        watching = asyncio.create_task(self._access.watch())
        watching.add_done_callback(lambda _: self._stop())
        self._processing.start()
        failure: BaseException | None = None
        try:
            await self._server.serve()
        except SystemExit:
            port = self._server.config.port
            failure = OSError(f"port {port} cannot be listened on: is another process using it?")
        self._stop()
        watching.cancel()
        (ended,) = await asyncio.gather(watching, return_exceptions=True)
        if not isinstance(ended, asyncio.CancelledError):
            failure = failure or ended
        await asyncio.to_thread(self._processing.join, 30.0)
        if parts := self._bus_parts.peek():
            await asyncio.to_thread(parts.close)
        return self._processing.failure or failure

    def why_not_ready(self) -> str:
        """Why this replica may not be sent traffic; empty if it may."""
        processor = self._processing.processor.peek()
        if processor and (stops := processor.stops()):
            return "; ".join(stop.reason for stop in stops.values())
        if reason := self._processing.waits_for:
            return reason
        is_ready = processor is not None and processor.ready and self._bus.fresh()
        return "" if is_ready else "this replica is catching up"

    def _stop(self) -> None:
        self._end_http()
        self._processing.stop()

    def _end_http(self) -> None:
        self._server.stop()


def _say_who_may_call(access: Access, host: str) -> None:
    if access.authenticator:
        log.info("access control is on: callers need an API key or an access token")
        return
    level = logging.INFO if is_loopback(host) else logging.WARNING
    log.log(
        level,
        "access control is off: whoever reaches %s may do everything; "
        "EVENTBUS_API_KEYS_FILE or EVENTBUS_OIDC_ISSUER turns it on",
        host,
    )


def http_routes(own: Routes | None, bus: Bus) -> list[Callable[[FastAPI], None]]:
    """What a replica answers beside health and metrics: the dry run of operators, and the service's own routes."""

    def with_bus(routes: Routes) -> Callable[[FastAPI], None]:
        return lambda app: routes(app, bus)

    return [with_bus(routes) for routes in (preview_route, own) if routes]
