"""The pages of the problem types: ``GET /problems`` lists them, ``GET /problems/<name>`` explains one.

A browser gets HTML, every other client the same as Markdown.
"""

from __future__ import annotations

import json
import re
from html import escape
from typing import Annotated, Any

from fastapi import FastAPI, Path, Request, Response

from eventbus.http.openapi import problem_responses
from eventbus.http.problem_types import NOT_FOUND, TABLE, ProblemType
from eventbus.http.problems import Problem

MARKDOWN = "text/markdown; charset=utf-8"
Name = Annotated[str, Path(description="The last part of a `type`.", examples=["not-found"])]


def page_routes(app: FastAPI) -> None:
    """Add the pages to ``app``."""

    @app.get(
        "/problems",
        tags=["operation"],
        response_class=Response,
        responses={200: {"content": _texts("- [Not Found](/problems/not-found): 404, `not-found`\n")}},
    )
    async def problems(request: Request) -> Response:
        """The problems that this service answers, each with its page."""
        return _rendered(request, index())

    @app.get(
        "/problems/{name}",
        tags=["operation"],
        response_class=Response,
        responses={200: {"content": _texts(page(NOT_FOUND))}, **problem_responses(NOT_FOUND)},
    )
    async def problem(name: Name, request: Request) -> Response:
        """What a problem means, what to do, and whether the same request may be sent again."""
        if name not in TABLE:
            raise Problem(NOT_FOUND, f"there is no problem {name[:100]!r}: /problems lists those there are")
        return _rendered(request, page(TABLE[name]))


def index() -> str:
    """The list of all types, as Markdown."""
    types = sorted(TABLE.values(), key=lambda one: (one.status, one.name))
    lines = (f"- [{one.title}]({one.uri}): {one.status}, `{one.name}`" for one in types)
    return (
        "# Problems\n\nWhat this service answers where it cannot do what was asked.\n\n"
        + "\n".join(lines)
        + "\n"
    )


def page(one: ProblemType, level: int = 1) -> str:
    """The page of a type, as Markdown; ``level``: of its heading."""
    example = json.dumps(one.body(**one.example), indent=2, ensure_ascii=False)
    return (
        f"{'#' * level} {one.title}\n\n`{one.uri}`, answered with status {one.status}.\n\n"
        f"{one.meaning}\n\n**What to do.** {one.advice}\n\n**May the same request be sent again?** {one.repeat}\n\n"
        f"```json\n{example}\n```\n"
    )


def _texts(markdown: str) -> dict[str, Any]:
    """For OpenAPI: the two forms of a page."""
    return {
        kind: {"schema": {"type": "string"}, "example": text}
        for kind, text in (("text/markdown", markdown), ("text/html", html(markdown)))
    }


def _rendered(request: Request, markdown: str) -> Response:
    if "text/html" in request.headers.get("accept", ""):
        return Response(html(markdown), media_type="text/html")
    return Response(markdown, media_type=MARKDOWN)


def html(markdown: str) -> str:
    """A document in HTML, of the little Markdown that is used here."""
    title = re.match(r"#+ (.*)", markdown)
    blocks = (_block(block) for block in markdown.strip().split("\n\n"))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title[1]) if title else ''}</title><style>body{{font:1rem/1.5 system-ui;max-width:42rem;"
        "margin:2rem auto;padding:0 1rem}</style></head><body>" + "".join(blocks) + "</body></html>\n"
    )


def _block(block: str) -> str:
    if block.startswith("```"):
        return f"<pre>{escape(block.strip('`').removeprefix('json').strip())}</pre>"
    if block.startswith("#"):
        return f"<h1>{_inline(block.lstrip('# '))}</h1>"
    if block.startswith("- "):
        return "<ul>" + "".join(f"<li>{_inline(line[2:])}</li>" for line in block.splitlines()) + "</ul>"
    return f"<p>{_inline(block)}</p>"


def _inline(text: str) -> str:
    text = re.sub(r"\[(.*?)\]\((.*?)\)", r'<a href="\2">\1</a>', escape(text))
    return re.sub(r"`(.*?)`", r"<code>\1</code>", re.sub(r"\*\*(.*?)\*\*", r"<b>\1</b>", text))
