"""The flow of messages as a picture: a Mermaid flowchart, drawn from the declarations."""

from __future__ import annotations

from collections.abc import Iterator

from tools.catalogue.system import Party, System, Wired


def flowchart(system: System) -> str:
    """The deciders and HTTP interfaces of all services, with the topics between them as arrows.

    A service of several deciders is a box around them. A log that no service reads is a node of its own.
    """
    lines = ["flowchart LR"]
    for wired in system.services:
        lines += _nodes(wired)
    for topic in system.flow:
        readers = system.topic_readers(topic.name)
        for writer in system.topic_writers(topic.name):
            if readers:
                lines += [f'    {_id(writer)} -->|"{topic.name}"| {_id(reader)}' for reader in readers]
            else:
                lines.append(f'    {_id(writer)} --> topic_{_word(topic.name)}[("{topic.name}")]')
    return "\n".join(lines) + "\n"


def _nodes(wired: Wired) -> Iterator[str]:
    if wired.service.sends:
        yield f'    {_id(Party(wired.name))}(["HTTP interface of {wired.name}"])'
    parties = [party for party, _ in wired.parties()]
    if len(parties) == 1:
        yield f'    {_id(parties[0])}["{wired.name}"]'
        return
    yield f'    subgraph service_{wired.name}["{wired.name}"]'
    for party in parties:
        yield f'        {_id(party)}["decider of {party.log}"]'
    yield "    end"


def _id(party: Party) -> str:
    return f"decider_{_word(party.log)}" if party.log else f"http_{party.service}"


def _word(topic: str) -> str:
    return topic.replace(".", "_").replace("-", "_")
