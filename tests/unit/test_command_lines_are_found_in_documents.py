"""What the reader of command lines takes from a document."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.readme import Command, File, commands, steps, with_ports

ROOT = Path(__file__).resolve().parents[2]


def test_only_sh_blocks_hold_commands() -> None:
    document = "make no\n```text\nmake neither\n```\n```sh\n# why\nmake up\n\nmake ps\n```\n"
    assert [c.text for c in commands(document)] == ["make up", "make ps"]
    assert [c.line for c in commands(document)] == [7, 9]


def test_a_backslash_joins_lines_and_a_hash_in_a_joined_line_is_kept() -> None:
    document = "```sh\ncurl -sS \\\n  -d '{}' \\\n  localhost:8000\n```\n"
    assert [c.text for c in commands(document)] == ["curl -sS -d '{}' localhost:8000"]


def test_promises_belong_to_the_command_above() -> None:
    document = '```sh\ncurl a\n# → "status":"CONFIRMED"\n# → GBP\ncurl b\n```\n'
    assert commands(document) == [
        Command("curl a", 2, ('"status":"CONFIRMED"', "GBP")),
        Command("curl b", 5),
    ]


def test_a_command_that_stays_says_so() -> None:
    assert commands("```sh\nmake run SERVICE=fraud  # until Ctrl-C\n```\n") == [
        Command("make run SERVICE=fraud", 2, stays=True)
    ]


@pytest.mark.parametrize("document", ["```sh\nmake up\n", "```sh\ncurl \\\n```\n", "```sh\n# → text\n```\n"])
def test_a_document_that_cannot_be_run_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match=r"not ended|without a command"):
        commands(document)


def test_programs_of_a_pipe() -> None:
    assert Command("echo x | kcat -P && true", 1).programs == {"echo", "kcat", "true"}


def test_ports_of_local_addresses_are_replaced() -> None:
    ports = {8000: 48000, 9092: 48092}
    text = "curl http://localhost:8000/orders -d 8000; kcat -b 127.0.0.1:9092"
    assert with_ports(text, ports) == "curl http://localhost:48000/orders -d 8000; kcat -b 127.0.0.1:48092"
    with pytest.raises(KeyError):
        with_ports("curl localhost:1234", ports)


HOW_TO = ("add-a-service", "look-into-topics", "redrive", "scale", "use-the-topics")
RUN = ["README.md", "docs/operations.md", *(f"docs/how-to/{name}.md" for name in HOW_TO)]


@pytest.mark.parametrize("name", RUN)
def test_the_documents_can_be_read(name: str) -> None:
    assert commands((ROOT / name).read_text())


FILES = """
File `a/b.py`:

```python
x = 1

y = 2
```

Add to `a/b.py`:

```python
z = 3
```

```sh
make up
# → up
```
"""


def test_files_and_commands_come_in_the_order_of_the_document() -> None:
    assert steps(FILES) == [
        File("a/b.py", "x = 1\n\ny = 2\n", 4),
        File("a/b.py", "z = 3\n", 12, added=True),
        Command("make up", 17, ("up",)),
    ]


def test_a_block_that_is_neither_a_file_nor_commands_is_refused() -> None:
    with pytest.raises(ValueError, match="line 3: the block ```python is neither a file nor commands"):
        steps("```python\nx = 1\n```\n")
