"""The command line that prints one record with kcat."""

from __future__ import annotations

import shlex

from eventbus.model.places import Position


def kcat_line(servers: str, topic: str, position: Position) -> str:
    """For a shell: prints the record at this position as JSON, with its headers, and ends.

    ``topic`` is the name on the cluster. JSON spells control characters, so no key, header or body moves the cursor;
    the body is Avro, so its bytes are not all text.
    """
    words = ["kcat", "-C", "-q", "-e", "-J", "-b", servers, "-t", topic]
    words += ["-p", str(position.partition), "-o", str(position.offset), "-c", "1"]
    return shlex.join(words)
