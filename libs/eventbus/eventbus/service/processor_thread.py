"""The thread of a replica's processor, and the watchdog over it."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import threading
import time
from collections.abc import Callable
from importlib import metadata
from typing import TYPE_CHECKING, Any

from eventbus.codec import Codec, load_packages
from eventbus.kafka.cluster import Cluster
from eventbus.model.errors import Misconfigured, Unavailable
from eventbus.model.mirror import check_mirrors
from eventbus.model.rules import check_definition, check_sends
from eventbus.model.start import start_of
from eventbus.processing import skips
from eventbus.processing.assembly import assemble
from eventbus.processing.calls import Calls
from eventbus.processing.ports import AfterStep, Ports, epoch_ms
from eventbus.processing.processor import Processor
from eventbus.service.batch_work import as_batch_work
from eventbus.service.bus import BusParts
from eventbus.service.definition import Service
from eventbus.service.local_state import LocalState
from eventbus.service.progress import Progress
from eventbus.service.published import Published
from eventbus.service.slot import Slot
from eventbus.settings import RegistrySettings, Settings
from eventbus.state.store import Store

if TYPE_CHECKING:
    from eventbus.registry.connection import SchemaRegistry

log = logging.getLogger("eventbus.runtime")
WATCHDOG_EXIT = 70
"""The exit code of a process whose loop stood still."""


class ProcessorThread:
    """Waits for the cluster, then makes the processor and runs it. All methods may be called from the event loop.

    ``processor`` is published once the cluster has answered, and then ``bus_parts``, with which the bus works.
    ``on_failure`` is called from the thread once :attr:`failure` is set.
    """

    def __init__(
        self,
        service: Service,
        settings: Settings,
        slot: Slot,
        loop: asyncio.AbstractEventLoop,
        bus_parts: Published[BusParts],
        after_step: AfterStep,
        on_failure: Callable[[], None],
    ) -> None:
        self._service, self._settings, self._slot, self._loop = service, settings, slot, loop
        self._bus_parts, self._after_step, self._on_failure = bus_parts, after_step, on_failure
        self._state = slot.directory / "state.sqlite"
        self._codec = self._new_codec()
        self._registry = self._registry_of(service, RegistrySettings())
        for decider in service.deciders:
            check_definition(decider)
            self._codec.check_knows((*decider.inputs, *decider.sends), decider.log)
        check_sends(service.name, service.sends)
        self._codec.check_knows(service.sends, service.name)
        check_mirrors(service.mirrors, [decider.log for decider in service.deciders])
        for mirror in service.mirrors:
            self._codec.check_writes(mirror.event, mirror.version)
        self._start = start_of(service.start_from, epoch_ms())
        self._calls = Calls(loop, settings)
        self.processor = Published[Processor]("this replica has not reached Kafka yet")
        self.waits_for = ""
        """What this replica cannot begin without, and why it does not have it; empty if it has all."""
        self.failure: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="processor", daemon=True)
        self._watchdog = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._watchdog.start()

    def stop(self) -> None:
        """Have the processor finish the turn under way and end."""
        self._stopping.set()
        if processor := self.processor.peek():
            processor.stop()

    def join(self, timeout: float) -> None:
        """Wait for the end of the thread, ``timeout`` seconds at most. Blocks."""
        self._thread.join(timeout)

    def _run(self) -> None:
        as_batch_work()
        try:
            if self._registry and not self._take_ids(self._registry):
                return
            cluster = self._wait_for_cluster()
            if cluster is None:
                return
            store = self._open_store(cluster)
            progress = Progress(self._loop, self._service.input_topics(), cluster.partitions)
            processor = self._make_processor(cluster, store, progress)
            self.processor.publish(processor)
            self._connect(cluster, processor, progress)
            if self._stopping.is_set():
                processor.stop()
            processor.run()
            store.close()
        except BaseException as error:
            self.failure = error
            log.error("the processor failed", exc_info=error)
            self._on_failure()
        finally:
            if self._registry:
                self._registry.close()

    def _new_codec(self, **registry: Any) -> Codec:
        write_as = self._settings.versions_written()
        try:
            return Codec(*self._service.schemas, write_as=write_as, **registry)
        except ValueError as error:
            if not write_as:
                raise
            raise Misconfigured(f"EVENTBUS_WRITE_AS={self._settings.write_as}: {error}") from error

    def _registry_of(self, service: Service, settings: RegistrySettings) -> SchemaRegistry | None:
        if not settings.url:
            return None
        # Imported only where there is one: its HTTP client takes a third of a second at each start.
        from eventbus.registry.connection import SchemaRegistry

        return SchemaRegistry(settings, load_packages(service.schemas), self._loop)

    def _take_ids(self, registry: SchemaRegistry) -> bool:
        """Write under the registry's ids from now on; False if this replica is stopped before it has them."""
        ids = registry.wait_for_ids(self._stopping, self._wait_because)
        if ids is None:
            return False
        self._codec = self._new_codec(ids=ids, find=registry.find)
        self._wait_because("")
        return True

    def _wait_because(self, reason: str) -> None:
        self.waits_for = reason

    def _wait_for_cluster(self) -> Cluster | None:
        """The cluster, as soon as it answers; None if this replica is stopped before that."""
        while not self._stopping.is_set():
            try:
                return Cluster(self._settings, self._service.topics(), beside=[skips.TOPIC])
            except Unavailable as error:
                log.warning("waiting for Kafka: %s", error)
                self._stopping.wait(1.0)
        return None

    def _open_store(self, cluster: Cluster) -> Store:
        store = Store(self._state, self._service.deciders, retry=f"{self._service.name}.retry")
        for forgotten in store.adopt(cluster.id, cluster.topic_ids):
            log.info("the state of %s is rebuilt from its beginning", forgotten)
        return store

    def _make_processor(self, cluster: Cluster, store: Store, progress: Progress) -> Processor:
        ports = Ports(store, self._calls, publish=progress.publish, after_step=self._after_step)
        parts = assemble(
            self._service.name,
            self._service.deciders,
            self._settings,
            self._codec,
            cluster.partitions,
            ports,
            transactional_id=self._slot.transactional_id,
            version=_version(),
            watches=self._service.watches,
            mirrors=self._service.mirrors,
            start=self._start,
            share=self._settings.transactions_share or self._service.transactions_share,
            input_wait=self._service.input_wait,
        )
        return Processor(parts)

    def _connect(self, cluster: Cluster, processor: Processor, progress: Progress) -> None:
        """Publish what the bus works with. The store must be there already: a reader does not create it."""
        name = self._service.name
        store = Store(self._state, self._service.deciders, retry=f"{name}.retry", read_only=True)
        local = LocalState(
            store,
            processor.health,
            cluster.partitions,
            processor.positions,
            processor.stops,
            progress,
            caught_up=lambda: processor.tasks.ready,
        )
        self._bus_parts.publish(BusParts.open(name, self._settings, self._codec, self._loop, local))
        log.info("slot %d, %d partitions, state in %s", self._slot.number, cluster.partitions, self._state)

    def _watch(self) -> None:
        """End the process if its loop stands still: some calls of the client have been seen never to return."""
        while not self._stopping.wait(1.0):
            processor = self.processor.peek()
            if processor and time.monotonic() - processor.turned_at > self._settings.watchdog:
                log.critical(
                    "the loop has stood still for %.0f s; ending the process", self._settings.watchdog
                )
                faulthandler.dump_traceback(all_threads=True)
                os._exit(WATCHDOG_EXIT)


def _version() -> str:
    try:
        return metadata.version("eventbus")
    except metadata.PackageNotFoundError:
        return "0"
