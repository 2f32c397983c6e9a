"""The bare app as a reference: started beside the references' broker, loaded, and its CPU read with the broker's."""

from __future__ import annotations

from types import TracebackType

from bench.load import Measured, closed_loop, run
from bench.processes import Module
from bench.run import Run
from bench.shop import posts
from tools.stack.ports import free_port

START = 20.0
"""Seconds it may take to answer."""


class BareApp:
    """``bench.bare.post`` while the ``with`` lasts."""

    def __init__(self, bench: Run, topic: str | None = None) -> None:
        """It writes to ``topic``: a new one, unless told."""
        self._bench, port = bench, free_port()
        self.url = f"http://127.0.0.1:{port}"
        arguments = [
            "--servers",
            bench.kafka.bootstrap_servers,
            "--topic",
            topic or bench.topic(),
            "--port",
            str(port),
        ]
        self._app = Module(bench.run_dir / "logs" / "post.log", "bench.bare.post", arguments)

    def __enter__(self) -> BareApp:
        self._app.__enter__()
        try:
            self._app.wait_ready(f"{self.url}/openapi.json", START)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._app.__exit__(kind, error, trace)

    @property
    def pid(self) -> int:
        """The app's process."""
        return self._app.pid

    def load(self, clients: int, warm: float, seconds: float) -> Measured:
        """Clients that post one order after the other. Raises NotMeasured."""

        async def load() -> Measured:
            pids = {"app": self._app.pid, "broker": self._bench.broker}
            async with posts(self.url) as do:
                return await closed_loop(clients, warm, seconds, do, pids)

        return run(load(), warm + seconds)
