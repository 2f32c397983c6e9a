"""All topics are deleted and made again under the services' old checkpoints: what they knew is forgotten."""

from __future__ import annotations

from http import HTTPStatus

from confluent_kafka.admin import AdminClient

from eventbus.kafka.topics import create
from tests.chaos.conftest import OpenSite
from tests.chaos.trial import load
from tests.support.waiting import eventually
from tools.stack.ready import request
from tools.wiring import topics
from verification.chaos.site import SIMULATOR, Site


def recreate(site: Site) -> None:
    """Delete every topic of the site, and make it again."""
    admin = AdminClient({"bootstrap.servers": site.cluster.bootstrap_servers})
    names = [site.kafka.topic(topic.name) for topic in topics()]
    for future in admin.delete_topics(names, operation_timeout=20.0).values():
        future.result()
    eventually(lambda: not set(names) & admin.list_topics(timeout=10).topics.keys(), "they are gone", 30)
    assert len(create(site.kafka, topics())) == len(names)


def test_topics_are_recreated_under_old_checkpoints(open_site: OpenSite) -> None:
    site = open_site()
    with load(site) as shopping:
        pass
    known = shopping.sales.placed[0].order
    assert request(f"{site.urls('order')[0]}/orders/{known}")[0] == HTTPStatus.OK

    for name in [*site.services, SIMULATOR]:
        site.children.stop(name)
    recreate(site)
    # the gateway starts afresh too: orders it alone remembers would be money without an order
    for file in (site.run_dir / "simulator").iterdir():
        file.unlink()
    for name in [SIMULATOR, *site.services]:
        site.children.start(name)
    site.wait_ready()
    site.wait_shared()

    assert request(f"{site.urls('order')[0]}/orders/{known}")[0] == HTTPStatus.NOT_FOUND
    assert request(f"{site.urls('inventory')[0]}/stock/scarce-0")[0] == HTTPStatus.NOT_FOUND
    with load(site):
        pass
