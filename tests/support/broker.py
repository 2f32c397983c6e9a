"""A real broker for tests: a container where a Docker engine answers, else a local process."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testcontainers.core.container import DockerContainer

from tests.support.waiting import eventually
from tools.stack.jars import VERSION
from tools.stack.kafka import SETTINGS, SHORT_LIVED, LocalKafka, answering_cluster

IMAGE = f"apache/kafka:{VERSION}"
CLUSTER_ID = "5L6g3nShT-eMCtK--X86sw"
INSIDE, CONTROLLER, PORT = 19092, 9093, 9092


class KafkaContainer(DockerContainer):
    """Apache Kafka in a container, with the broker settings of the local stack.

    The broker must advertise the port that the engine has mapped. That port is known only once the container runs, so
    the container waits for its configuration and then starts the broker.
    """

    def __init__(self) -> None:
        super().__init__(IMAGE)
        self.with_exposed_ports(PORT)
        self.with_kwargs(entrypoint=["sh", "-c"])
        self.with_command(
            [
                "until [ -e /tmp/server.properties ]; do sleep 0.1; done; "
                f"/opt/kafka/bin/kafka-storage.sh format -t {CLUSTER_ID} -c /tmp/server.properties && "
                f"KAFKA_HEAP_OPTS=-Xmx512m KAFKA_JVM_PERFORMANCE_OPTS='{' '.join(SHORT_LIVED)}' "
                "exec /opt/kafka/bin/kafka-server-start.sh /tmp/server.properties"
            ]
        )

    @property
    def bootstrap_servers(self) -> str:
        return f"{self.get_container_host_ip()}:{self.get_exposed_port(PORT)}"

    def start(self) -> KafkaContainer:
        super().start()
        self._put("/tmp", "server.properties", self._properties())
        eventually(
            lambda: answering_cluster(self.bootstrap_servers), "the broker in its container answers", 60
        )
        return self

    def _properties(self) -> str:
        properties = {
            **SETTINGS,
            "inter.broker.listener.name": "INSIDE",
            "listener.security.protocol.map": "INSIDE:PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "listeners": f"INSIDE://localhost:{INSIDE},PLAINTEXT://:{PORT},CONTROLLER://localhost:{CONTROLLER}",
            "advertised.listeners": f"INSIDE://localhost:{INSIDE},PLAINTEXT://{self.bootstrap_servers}",
            "controller.quorum.voters": f"1@localhost:{CONTROLLER}",
            "log.dirs": "/tmp/kafka-logs",
        }
        return "".join(f"{name}={value}\n" for name, value in properties.items())

    def _put(self, folder: str, name: str, text: str) -> None:
        archive, content = io.BytesIO(), text.encode()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
        self.get_wrapped_container().put_archive(folder, archive.getvalue())


def engine_answers() -> bool:
    """Whether there is a Docker engine to talk to."""
    try:
        asked = subprocess.run(["docker", "info"], capture_output=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


@contextmanager
def broker(run_dir: Path) -> Iterator[str]:
    """Run a broker; gives its bootstrap servers. ``EVENTBUS_TEST_KAFKA=local`` forces a local process."""
    if os.environ.get("EVENTBUS_TEST_KAFKA") != "local" and engine_answers():
        try:
            container = KafkaContainer().start()
        except Exception as error:  # whatever the engine lacks: the image, a network, room
            warnings.warn(f"no Kafka container ({error}); the tests use a local process", stacklevel=2)
        else:
            try:
                yield container.bootstrap_servers
            finally:
                container.stop()
            return
    with LocalKafka(run_dir, short_lived=True) as kafka:
        yield kafka.bootstrap_servers
