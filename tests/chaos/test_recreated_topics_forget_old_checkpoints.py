"""All topics are deleted and made again under the services' old checkpoints: what they knew is forgotten."""

from __future__ import annotations

from http import HTTPStatus

from confluent_kafka.admin import AdminClient

from eventbus.kafka.topics import create
from tests.chaos.conftest import OpenCluster
from tests.chaos.invariants import under_load
from tests.support.waiting import eventually
from tools.stack.ready import request
from tools.wiring import topics
from verification.chaos.cluster import SIMULATOR, ChaosCluster


def recreate(chaos: ChaosCluster) -> None:
    """Delete every topic of the cluster, and make it again."""
    admin = AdminClient({"bootstrap.servers": chaos.cluster.bootstrap_servers})
    names = [chaos.kafka.topic(topic.name) for topic in topics()]
    for future in admin.delete_topics(names, operation_timeout=20.0).values():
        future.result()
    eventually(lambda: not set(names) & admin.list_topics(timeout=10).topics.keys(), "they are gone", 30)
    assert len(create(chaos.kafka, topics())) == len(names)


def test_recreated_topics_forget_what_old_checkpoints_knew(open_cluster: OpenCluster) -> None:
    chaos = open_cluster()
    with under_load(chaos) as load:
        pass
    known = load.result.placed[0].order
    assert request(f"{chaos.urls('order')[0]}/orders/{known}")[0] == HTTPStatus.OK

    for name in [*chaos.services, SIMULATOR]:
        chaos.children.stop(name)
    recreate(chaos)
    # the gateway starts afresh too: orders it alone remembers would be money without an order
    for file in (chaos.run_dir / "simulator").iterdir():
        file.unlink()
    for name in [SIMULATOR, *chaos.services]:
        chaos.children.start(name)
    chaos.wait_ready()
    chaos.wait_shared()

    assert request(f"{chaos.urls('order')[0]}/orders/{known}")[0] == HTTPStatus.NOT_FOUND
    assert request(f"{chaos.urls('inventory')[0]}/stock/scarce-0")[0] == HTTPStatus.NOT_FOUND
    with under_load(chaos):
        pass
