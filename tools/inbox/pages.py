"""The inbox as pages: a list, and each mail with its headers, its text and its HTML part."""

from __future__ import annotations

from html import escape

from aiohttp import web
from aiohttp.typedefs import Handler

from tools.inbox.store import Caught, Store

SHOWN = 200
"""Mails in the list."""
HEADERS = ("From", "To", "Subject", "Date", "Message-ID", "References", "Auto-Submitted", "Content-Language")
HOSTS = ("127.0.0.1", "localhost", "[::1]")
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Inbox</title>
<style>body{{font:15px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
table{{width:100%;border-collapse:collapse}}td,th{{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ddd}}
pre{{white-space:pre-wrap;background:#f6f6f6;padding:1rem}}
iframe{{width:100%;height:30rem;border:1px solid #ddd}}</style>
</head><body>{body}</body></html>
"""
SAFE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'",
    "X-Content-Type-Options": "nosniff",
}
"""A mail may hold anything. It runs no script and fetches nothing."""


def application(store: Store) -> web.Application:
    """The pages, for programs too: ``GET /mails`` gives the list as JSON."""

    async def listed(request: web.Request) -> web.Response:
        return _html(_list(store.latest(SHOWN)))

    async def as_json(request: web.Request) -> web.Response:
        return web.json_response([_summary(caught) for caught in store.latest(SHOWN)], headers=SAFE)

    async def shown(request: web.Request) -> web.Response:
        return _html(_mail(_found(store, request)))

    async def html_part(request: web.Request) -> web.Response:
        headers = SAFE | {"Content-Security-Policy": SAFE["Content-Security-Policy"] + "; sandbox"}
        return web.Response(
            text=_found(store, request).part("html"), content_type="text/html", headers=headers
        )

    async def raw(request: web.Request) -> web.Response:
        if (content := store.raw(request.match_info["id"])) is None:
            raise web.HTTPNotFound(text="there is no such mail")
        return web.Response(body=content, content_type="message/rfc822", headers=SAFE)

    app = web.Application(middlewares=[_from_here])
    app.add_routes(
        [
            web.get("/", listed),
            web.get("/mails", as_json),
            web.get("/mails/{id}", shown),
            web.get("/mails/{id}/html", html_part),
            web.get("/mails/{id}/raw", raw),
        ]
    )
    return app


@web.middleware
async def _from_here(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A page of another site that has this address under a name of its own reads nothing."""
    if request.host.rsplit(":", 1)[0] not in HOSTS:
        raise web.HTTPMisdirectedRequest(text=f"ask for one of {', '.join(HOSTS)}")
    response: web.StreamResponse = await handler(request)
    return response


def _html(body: str) -> web.Response:
    return web.Response(text=PAGE.format(body=body), content_type="text/html", headers=SAFE)


def _found(store: Store, request: web.Request) -> Caught:
    caught = store.get(request.match_info["id"])
    if caught is None:
        raise web.HTTPNotFound(text="there is no such mail")
    return caught


def _summary(caught: Caught) -> dict[str, object]:
    named = {
        name: caught.header(header)
        for name, header in (
            ("from", "From"),
            ("subject", "Subject"),
            ("messageId", "Message-ID"),
            ("references", "References"),
            ("language", "Content-Language"),
        )
    }
    return {"id": caught.id, "to": list(caught.recipients), **named, "text": caught.part("plain")}


def _list(mails: list[Caught]) -> str:
    rows = "".join(
        f"<tr><td>{escape(', '.join(caught.recipients))}</td>"
        f'<td><a href="/mails/{caught.id}">{escape(caught.header("Subject") or "(no subject)")}</a></td>'
        f"<td>{escape(caught.header('Date'))}</td></tr>"
        for caught in mails
    )
    return f"<h1>Inbox</h1><table><tr><th>To</th><th>Subject</th><th>Date</th></tr>{rows}</table>"


def _mail(caught: Caught) -> str:
    headers = "".join(
        f"<tr><th>{name}</th><td>{escape(caught.header(name))}</td></tr>"
        for name in HEADERS
        if caught.header(name)
    )
    html = (
        f'<h2>HTML</h2><iframe sandbox src="/mails/{caught.id}/html"></iframe>' if caught.part("html") else ""
    )
    return (
        f'<p><a href="/">Inbox</a> · <a href="/mails/{caught.id}/raw">as it came</a></p><table>{headers}</table>'
        f"<h2>Text</h2><pre>{escape(caught.part('plain'))}</pre>{html}"
    )
