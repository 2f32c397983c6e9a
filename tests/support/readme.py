"""What a document has its reader do: the commands of its fenced ``sh`` blocks, and the files that it shows.

A command is one line, or several joined by a backslash. A comment ``# → text`` below it promises that ``text`` is in
what it prints; a command that ends in ``# until Ctrl-C`` does not end by itself.
A block below the line ``File `path`:`` is the content of that file, one below ``Add to `path`:`` its continuation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

PROMISE, STAYS = "# → ", "# until Ctrl-C"
SHOWN = re.compile(r"(File|Add to) `([^`]+)`:")
ADDRESS = re.compile(r"\b(localhost|127\.0\.0\.1):(\d+)")


@dataclass(frozen=True)
class Command:
    """One command line, where it stands (line number from 1), and what its output must contain."""

    text: str
    line: int
    promises: tuple[str, ...] = ()
    stays: bool = False

    @property
    def programs(self) -> set[str]:
        """The first word of each part of its pipes and lists."""
        return {part.split()[0] for part in re.split(r"\|\|?|&&|;", self.text) if part.split()}


@dataclass(frozen=True)
class File:
    """A file that a document shows, its content, and where it stands (line number from 1)."""

    path: str
    content: str
    line: int
    added: bool = False
    """Whether the content goes to the end of a file that is there."""


def steps(document: str) -> list[Command | File]:
    """Every command and every file of the document, in order. ValueError for a block that is neither."""
    found: list[Command | File] = list(commands(document))
    shown, text, block = None, "", list[str]()
    for number, line in enumerate(document.splitlines(), start=1):
        if block:
            if line == "```":
                if shown:
                    content = "\n".join(block[1:]) + "\n"
                    found.append(File(shown[2], content, number - len(block), shown[1] == "Add to"))
                elif block[0] != "```sh":
                    raise ValueError(f"line {number}: the block {block[0]} is neither a file nor commands")
                block = []
                text = ""
            else:
                block.append(line)
        elif line.startswith("```"):
            shown, block = SHOWN.fullmatch(text), [line]
        elif line.strip():
            text = line.strip()
    return sorted(found, key=lambda step: step.line)


def commands(document: str) -> list[Command]:
    """Every command of the document, in order. ValueError for a promise without a command and an open block."""
    found: list[Command] = []
    fence, begun = "", ""
    for number, line in enumerate(document.splitlines(), start=1):
        if line.startswith("```"):
            fence = "" if fence else line
        elif fence == "```sh":
            text = line.strip()
            if text.startswith(PROMISE):
                found.append(_promised(found, text.removeprefix(PROMISE), number))
            elif text.endswith("\\"):
                begun += text.removesuffix("\\")
            elif text and (begun or not text.startswith("#")):
                stays = text.endswith(STAYS)
                found.append(Command((begun + text.removesuffix(STAYS)).strip(), number, stays=stays))
                begun = ""
    if fence or begun:
        raise ValueError("the last block or command is not ended")
    return found


def _promised(found: list[Command], text: str, number: int) -> Command:
    if not found:
        raise ValueError(f"line {number}: a promise without a command before it")
    last = found.pop()
    return Command(last.text, last.line, (*last.promises, text), last.stays)


def with_ports(text: str, ports: Mapping[int, int]) -> str:
    """``text`` with the port of each local address replaced; KeyError for a port that ``ports`` does not know."""
    return ADDRESS.sub(lambda found: f"{found[1]}:{ports[int(found[2])]}", text)
