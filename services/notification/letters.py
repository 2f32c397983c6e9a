"""Letters to customers: Jinja2 templates, one folder a language, with a text and an HTML part for each kind of event.

``<folder>/<language>/<Event>.txt`` begins with the subject, on a line of its own; ``<Event>.html`` is the same for
programs that show HTML. The user's folder goes before the one of this service, file by file, and may add languages.
All templates are rendered once at the start, so that a broken one is found before the first order.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from eventbus.model.errors import Misconfigured
from schemas.language import wrong_language
from services.notification.request import Input
from services.notification.samples import KINDS, SAMPLES
from services.notification.text import on_one_line
from services.notification.values import Formats, values

OWN = Path(__file__).with_name("templates")
MAX_SUBJECT = 200
"""Characters of a subject."""


@dataclass(frozen=True)
class Letter:
    """What a customer reads. ``language`` is the one it is written in, a BCP 47 tag."""

    language: str
    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class _Language:
    """The templates of one folder, by the name of the file."""

    tag: str
    templates: dict[str, Template]


class Letters:
    """Renders letters. Reads all templates when it is made; raises Misconfigured if one is missing or broken."""

    def __init__(self, folder: Path | None, default: str, timezone: ZoneInfo) -> None:
        """``folder``: the user's own templates. ``default``: the language for customers who asked for none that is
        here."""
        self._folders = [*([folder] if folder else []), OWN]
        self._timezone = timezone
        if folder and not folder.is_dir():
            raise Misconfigured(f"NOTIFICATION_TEMPLATES={folder} is no folder")
        tags = sorted({path.name for own in self._folders for path in own.iterdir() if _holds_texts(path)})
        self._languages = {tag.lower(): self._load(tag) for tag in tags}
        if default.lower() not in self._languages:
            raise Misconfigured(
                f"NOTIFICATION_LANGUAGE={default}: there are no texts in it, only in {', '.join(tags)}"
            )
        self._default = default.lower()
        self._chosen = lru_cache(256)(self._choose)
        for tag in tags:
            for sample in SAMPLES:
                self._check(tag, sample)

    def render(self, event: Input, tag: str | None) -> Letter:
        """The letter for an event, in the language asked for if there are texts in it, else in the default one."""
        language, formats = self._chosen(tag)
        named = values(event, formats)
        subject, _, text = language.templates[f"{event.name}.txt"].render(named).strip().partition("\n")
        return Letter(
            language=language.tag,
            subject=on_one_line(subject)[:MAX_SUBJECT],
            text=text.strip() + "\n",
            html=language.templates[f"{event.name}.html"].render(named).strip() + "\n",
        )

    def _choose(self, tag: str | None) -> tuple[_Language, Formats]:
        """``de-AT`` means the folder ``de-AT``, else ``de``, else the default one."""
        words = (tag or "").lower().split("-")
        while words and "-".join(words) not in self._languages:
            words.pop()
        language = self._languages["-".join(words) or self._default]
        locale = _locale(tag) if words else None
        return language, Formats(locale or _locale(language.tag) or Locale("en"), self._timezone)

    def _load(self, tag: str) -> _Language:
        if wrong_language(tag) or not _locale(tag):
            raise Misconfigured(f"{self._where(tag)}: a folder of texts is named by its language, such as de")
        paths = [folder / tag for folder in self._folders] + self._folders
        environment = ImmutableSandboxedEnvironment(
            loader=ChoiceLoader([FileSystemLoader(path) for path in paths]),
            autoescape=lambda name: name is not None and name.endswith(".html"),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        templates = {}
        for name in (f"{kind}.{part}" for kind in KINDS for part in ("txt", "html")):
            if not any((folder / tag / name).is_file() for folder in self._folders):
                raise Misconfigured(f"{self._where(tag)} lacks {name}: every language has all texts")
            try:
                templates[name] = environment.get_template(name)
            except Exception as error:
                raise Misconfigured(f"{self._where(tag)}/{name}: {_said(error)}") from error
        return _Language(tag, templates)

    def _check(self, tag: str, sample: Input) -> None:
        try:
            letter = self.render(sample, tag)
        except Exception as error:
            raise Misconfigured(f"{self._where(tag)}, the texts of {sample.name}: {_said(error)}") from error
        if not letter.subject or not letter.text.strip() or not letter.html.strip():
            raise Misconfigured(
                f"{self._where(tag)}, the texts of {sample.name}: the subject (the first line of the text), "
                "the text and the HTML must not be empty"
            )

    def _where(self, tag: str) -> str:
        """The first folder with texts in a language: the user's, if it has some."""
        return str(next(folder / tag for folder in self._folders if (folder / tag).is_dir()))


def _holds_texts(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "_"))


def _locale(tag: str | None) -> Locale | None:
    try:
        return Locale.parse(tag, sep="-") if tag else None
    except (UnknownLocaleError, ValueError):
        return None


def _said(error: Exception) -> str:
    """What is wrong, with the line of the template if it is known."""
    line = getattr(error, "lineno", None)
    step = sys.exc_info()[2]
    while step and line is None:
        if step.tb_frame.f_code.co_filename.endswith((".txt", ".html")):
            line = step.tb_lineno
        step = step.tb_next
    return f"{f'line {line}: ' if line else ''}{type(error).__name__}: {error}"
