"""What all services show alike is written in one place: times, money, problems, headers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {
    str(path.relative_to(ROOT)): path.read_text()
    for folder in ("services", "schemas", "examples", "libs/eventbus/eventbus")
    for path in (ROOT / folder).glob("**/*.py")
    # The gateway simulator stands for a program of others, and shares no code with the services.
    if "simulator" not in path.parts
}


@pytest.mark.parametrize(
    ("pattern", "place"),
    [
        (r"\bisoformat\(|\bstrftime\(|\bfromtimestamp\(", "libs/eventbus/eventbus/headers.py"),
        (r"\bEXPONENTS: ", "schemas/money.py"),
        (r"10 ?\*\* ?(exponent|2)\b|/ ?100\b", "schemas/money.py"),
        (r"application/problem\+json\"$", "libs/eventbus/eventbus/http/problems.py"),
        (r"\"Value error, \"", "libs/eventbus/eventbus/http/problems.py"),
        (r"include_url=False", "libs/eventbus/eventbus/http/bodies.py"),
        (r"\[0-9a-f\]\{32\}", "libs/eventbus/eventbus/http/request_headers.py"),
        (r"aiohttp\.ClientSession\(", "libs/eventbus/eventbus/http_client.py"),
    ],
)
def test_it_is_written_in_one_place(pattern: str, place: str) -> None:
    found = {name for name, text in SOURCES.items() if re.search(pattern, text, re.MULTILINE)}
    assert found == {place}
