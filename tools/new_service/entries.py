"""The entries of a service in files that all services share: the registry, the files of Docker, the map of modules.

Each is put before or after a place that the file must have exactly once; nothing else of the file changes.
"""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from tools.new_service.plan import Plan, Refused

TABLE = """
[$name]
port = $port
package = "services.$name"
dockerfile = "services/$name/Dockerfile"
schemas = ["schemas", "services.$name"]
"""
CONTAINER = """\
  $name:
    <<: *service
    build:
      context: .
      dockerfile: services/$name/Dockerfile
    image: $${STACK_PROJECT:-orders}-$name
    environment:
      <<: *environment
      EVENTBUS_HTTP_ALLOWED_HOSTS: $name
    volumes:
      - $name:/var/lib/eventbus

"""
PUBLISHED = "      - 127.0.0.1:$${STACK_${NAME}_PORT:-$port}:$port\n"
VOLUME = "  $name:\n"
WIRING = " services.$name.__main__:service"
FRONTEND = """\
frontend $name from asked
    bind :$port
    use_backend ${name}_ready if { nbsrv(${name}_ready) gt 0 }
    default_backend ${name}_alive

backend ${name}_ready from replicas
    option httpchk GET /readyz
    server-template $name 9 $name:8000

backend ${name}_alive from replicas
    option httpchk GET /healthz
    server-template $name 9 $name:8000

"""
MODULES = """\
## services/$name

Has a partner do its part for each confirmed order, once.

- `__main__.py` wires the service and its partner.
- `settings.py` reads `${NAME}_*` variables.
- `decider.py` holds the rules: which order is handed to the partner, and what the answer becomes.
- `partner.py` is the partner as a protocol, a default that logs, and the reactor's call.
- `messages.py` holds the classes of its messages, generated.

"""
ENTRIES = (
    # file, the place (a regular expression), what is put there
    ("services.toml", r"(?=\Z)", TABLE),
    ("docker-compose.yml", r"^(?=  gateway:\n)", CONTAINER),
    ("docker-compose.yml", r"^(?=      - 127\.0\.0\.1:\$\{STACK_SIMULATOR_PORT)", PUBLISHED),
    ("docker-compose.yml", r"(?=\Z)", VOLUME),
    ("docker-compose.yml", r"(?<=:service)(?=\}$)", WIRING),
    ("tools/gateway/haproxy.cfg", r"^(?=frontend simulator from asked\n)", FRONTEND),
    ("tools/gateway/Dockerfile", r"(?= 8090$)", " $port"),
    ("docs/explanation/modules.md", r"^(?=# What proves it\n)", MODULES),
)


def entered(plan: Plan, root: Path) -> dict[Path, str]:
    """The shared files with the entries of a new service, by path. Raises Refused if one has no place for them."""
    texts: dict[Path, str] = {}
    for name, place, entry in ENTRIES:
        path = root / name
        text = texts.get(path) or path.read_text(encoding="utf-8")
        found = re.findall(place, text, re.MULTILINE)
        if len(found) != 1:
            raise Refused(
                f"{name} has {len(found)} places {place!r} for the entry of a service, not 1: restore it."
            )
        filled = Template(entry).substitute(plan.words)
        texts[path] = re.sub(place, lambda _, filled=filled: filled, text, flags=re.MULTILINE)  # type: ignore[misc]
    return texts
