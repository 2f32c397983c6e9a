"""The files of access control in containers: their directories are mounted, read-only. Standard library only.

A directory, not a file: a file that an editor replaces would stay the old one inside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tools.stack.settings import FILES, SERVICES

INSIDE = "/etc/eventbus/access"
OVERRIDE = "compose.access.json"
"""The name of the second file for ``docker compose``, in the run directory."""


def in_containers(env: Mapping[str, str]) -> tuple[dict[str, str], str | None]:
    """The environment with the names that the files have inside, and the text of the second file for compose.

    None for the second if no file is named.
    """
    inside, volumes = dict(env), []
    for name in FILES:
        if (value := env.get(name)) and "://" not in value:
            path, folder = Path(value), f"{INSIDE}/{name.lower()}"
            volumes.append(f"{path.parent}:{folder}:ro")
            inside[name] = f"{folder}/{path.name}"
    if not volumes:
        return inside, None
    return inside, json.dumps({"services": {service: {"volumes": volumes} for service in SERVICES}})
