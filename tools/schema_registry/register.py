"""Fills a schema registry with the schema files, under their pinned ids if it lets one choose them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eventbus.model.errors import Misconfigured
from eventbus.registry.agreement import Entry, agree, pinned_there
from eventbus.registry.api import RegistryApi


@dataclass(frozen=True)
class Filled:
    """What the registry holds now: how many versions under their pinned ids, and the ids of the others by version."""

    pinned: int
    others: dict[str, int]

    def __str__(self) -> str:
        lines = [
            f"{self.pinned} versions have their pinned ids: values are the same with and without this registry."
        ]
        if self.others:
            lines += [
                f"{len(self.others)} have ids of the registry's own, since it does not let one choose them:",
                *(f"  {version}: {schema_id}" for version, schema_id in self.others.items()),
                "A service with this SCHEMA_REGISTRY_URL writes these under the registry's ids, and names the",
                "version in the header ce_dataschema. It reads both ids. A service without the registry reads by",
                "that header.",
            ]
        return "\n".join(lines)


async def fill(api: RegistryApi, entries: Sequence[Entry]) -> Filled:
    """Register what is missing; repeated, it changes nothing.

    Raises Misconfigured if the registry has another schema under a pinned id (then nothing was registered), or
    refuses a schema; Retryable if it does not answer.
    """
    missing = [entry for entry in entries if not await pinned_there(api, entry)]
    for entry in missing:
        if not await _imported(api, entry):
            break  # it takes no ids: whatever is missing gets one of the registry's own
    ids = await agree(api, entries, may_register=True)
    others = {str(e.version): ids[e.version] for e in entries if ids[e.version] != e.pinned}
    return Filled(len(entries) - len(others), others)


async def _imported(api: RegistryApi, entry: Entry) -> bool:
    """Whether a version has its pinned id now. Its subject is in the mode of the registry again."""
    try:
        await api.set_mode(entry.subject, "IMPORT")
    except Misconfigured:
        return False
    try:
        return await api.register(entry.subject, entry.text, entry.pinned) == entry.pinned
    finally:
        await api.set_mode(entry.subject, None)
