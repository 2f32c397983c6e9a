"""``docs/reference/catalogue.md``: the topics and messages, for people of any team."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from eventbus.kafka.topics import SKIPS, Topic
from tools.catalogue import headers
from tools.catalogue.contract import Contract, Release
from tools.catalogue.fields import changes, fields
from tools.catalogue.flow import flowchart
from tools.catalogue.markdown import anchor, code, codes, plain, table
from tools.catalogue.system import OPERATORS, V1_TOPICS, Party, System, Wired

TOP = "../../"
"""From the page to the top of the repository."""
DAY = 24 * 3600 * 1000


def page(system: System) -> str:
    """The catalogue as Markdown."""
    parts = [
        "# Topics and messages\n",
        "Who writes and who reads is what the services declare: a process takes and sends nothing else.\n"
        "The fields are those of the schemas. How a schema changes: [the contracts](../../schemas/README.md).\n"
        "The same for machines: [asyncapi.json](asyncapi.json) (AsyncAPI 3).\n",
        "## The flow\n",
        f"```mermaid\n{flowchart(system)}```\n",
        "An arrow is a topic. Other systems may write to the topics that carry commands, and read everything.\n",
        "## The services\n",
        _services(system),
        "The name of a service is also that of its consumer group.\n",
        "## The topics\n",
        _topics(system),
        "All have the same number of partitions (`EVENTBUS_PARTITIONS`). A key stands in the partition that murmur2\n"
        "gives, as with Java clients. `EVENTBUS_TOPIC_PREFIX` stands before each name.\n",
        "## The headers of a message\n",
        _headers(headers.of_messages()),
    ]
    for topic in system.flow:
        parts += _topic(system, topic)
    parts += _failures(system)
    return "\n".join(parts)


def _services(system: System) -> str:
    rows = []
    for wired in system.services:
        deciders = wired.service.deciders
        sent = [*wired.service.sends, *(cls for decider in deciders for cls in decider.sends)]
        rows.append(
            (
                wired.name,
                _purpose(wired),
                codes(dict.fromkeys(cls.topic for decider in deciders for cls in decider.inputs)),
                codes(decider.log for decider in deciders),
                codes(dict.fromkeys(cls.topic for cls in sent)),
            )
        )
    return table(("service", "what it does", "reads", "writes", "sends to"), rows)


def _purpose(wired: Wired) -> str:
    parts = [plain(wired.purpose)]
    if wired.service.start_from != "earliest":
        parts.append(f"It begins in the logs of others at {code(wired.service.start_from)}.")
    if not wired.entry.start:
        parts.append("(`make up` does not start it.)")
    return " ".join(parts)


def _topics(system: System) -> str:
    rows = []
    for topic in system.flow:
        keys = dict.fromkeys(str(contract.latest.schema["key"]) for contract in system.carried(topic.name))
        rows.append(
            (
                f"[{code(topic.name)}](#{anchor(topic.name)})",
                codes(keys),
                _parties(system, system.topic_writers(topic.name)),
                _parties(system, system.topic_readers(topic.name)),
                _kept(topic),
            )
        )
    for mirror in system.mirrors:
        keys = dict.fromkeys(str(release.schema["key"]) for release in mirror.releases)
        writer = f"{mirror.service}, with `{V1_TOPICS}=1`"
        kept = _kept(system.topics[mirror.name])
        rows.append(
            (f"[{code(mirror.name)}](#{anchor(mirror.log)})", codes(keys), writer, "no service", kept)
        )
    return table(("topic", "key", "written by", "read by", "kept"), rows)


def _headers(words: Mapping[str, str]) -> str:
    return table(("header", "says"), ((code(name), text) for name, text in words.items()))


def _topic(system: System, topic: Topic) -> Iterator[str]:
    carried = system.carried(topic.name)
    yield f"## {topic.name}\n"
    yield " · ".join(f"[{contract.name}](#{anchor(contract.name)})" for contract in carried) + "\n"
    for mirror in system.mirrors:
        if mirror.log == topic.name:
            yield (
                f"With `{V1_TOPICS}=1`, {mirror.service} also writes {code(mirror.name)}, in the same transaction: "
                f"{', '.join(map(_link, mirror.releases))}.\n"
                "An event that the older version cannot represent is left out there.\n"
            )
    for contract in carried:
        yield from _message(system, contract)


def _message(system: System, contract: Contract) -> Iterator[str]:
    latest = contract.latest
    yield f"### {contract.name}\n"
    yield f"{plain(str(latest.schema['doc']))}\n"
    lines = [
        f"- {contract.kind.capitalize()} {_link(latest)}, key {code(str(latest.schema['key']))}",
        f"- Written by: {_parties(system, system.writers(contract))}",
        f"- Read by: {_parties(system, system.readers(contract))}",
    ]
    if contract.written != latest:
        lines.insert(1, f"- Still written as {_link(contract.written)}")
    yield "\n".join(lines) + "\n"
    yield table(
        ("field", "type", "default", "meaning"),
        (
            (code(field.path), plain(field.type), _default(field.default), plain(field.doc))
            for field in fields(latest.schema)
        ),
    )
    if len(contract.releases) > 1:
        yield _versions(contract)


def _versions(contract: Contract) -> str:
    first, *later = contract.releases
    lines = [
        "Versions that may stand in the topic:\n",
        f"- {_link(first)}: {plain(str(first.schema['doc']))}",
    ]
    for older, newer in zip(contract.releases, later, strict=False):
        changed = " ".join(changes(older.schema, newer.schema)) or "It changes no field."
        lines.append(f"- {_link(newer)}: {changed}")
    for major, text in contract.upcasts.items():
        lines.append(f"- What a reader here makes of version {major}: {plain(text)}")
    return "\n".join(lines) + "\n"


def _failures(system: System) -> Iterator[str]:
    waiting, letters, admin = (_any(system, kind) for kind in ("retry", "dlq", "admin"))
    of_message, of_record = "topic-partition-offset of the message", "topic-partition-offset of the record"
    yield "## Topics for what fails\n"
    yield (
        f"Each service has three, and all share {code(SKIPS.name)}. What to do with them:\n"
        "[operations](../operations.md#dead-letters).\n"
    )
    yield table(
        ("topic", "key", "holds", "kept"),
        (
            ("`<service>.retry`", of_message, "what waits for another try, or for a person", _kept(waiting)),
            ("`<service>.dlq`", "as it was", "copies of what could not be read or decided", _kept(letters)),
            ("`<service>.admin`", "key of what waits", "commands of operators to the service", _kept(admin)),
            (code(SKIPS.name), of_record, "records that operators set aside; one partition", _kept(SKIPS)),
        ),
    )
    yield (
        "A service reads its own `.retry`, its own `.admin` and the skips. "
        + " ".join(
            f"To show what waits elsewhere, {wired.name} reads {codes(wired.service.watches)} too."
            for wired in system.services
            if wired.service.watches
        )
        + "\n"
    )
    yield "### Headers of what waits\n"
    yield "In `<service>.retry`, beside the headers that the message had:\n"
    yield _headers(headers.of_waiting())
    yield "### Headers of a dead letter\n"
    yield "In `<service>.dlq`, beside the headers that the record had:\n"
    yield _headers(headers.of_letters())
    for topic in (admin, SKIPS):
        for contract in system.carried(topic.name):
            yield from _message(system, contract)


def _any(system: System, kind: str) -> Topic:
    """A service's topic of this kind: those of all services are made alike."""
    return system.topics[f"{system.services[0].name}.{kind}"]


def _parties(system: System, parties: Iterable[Party]) -> str:
    """In words. A decider is named by its service, and by its log too where the service has several."""
    several = {wired.name for wired in system.services if len(wired.service.deciders) > 1}
    words = []
    for party in parties:
        if party.service == OPERATORS:
            words.append("operators, with `eventbus`")
        elif not party.log:
            words.append(f"HTTP interface of {party.service}")
        elif party.service in several:
            words.append(f"{party.service} (decider of {code(party.log)})")
        else:
            words.append(party.service)
    return ", ".join(words) or "no service"


def _kept(topic: Topic) -> str:
    if topic.config.get("cleanup.policy") == "compact":
        return "compacted"
    if "retention.ms" not in topic.config:
        return "as its owner says"
    retention = int(topic.config["retention.ms"])
    return "for ever" if retention < 0 else f"{retention // DAY} days"


def _default(default: str | None) -> str:
    return "must be given" if default is None else code(default)


def _link(release: Release) -> str:
    return f"[{release.version}]({TOP}{release.path}), id {release.id}"
