"""What an answer names as its ``type`` is a page of the same service, for people and for programs."""

from __future__ import annotations

import ast
import importlib
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, HTTPException

import eventbus.http
from eventbus.http import INVALID_REQUEST, Problem, ProblemType
from eventbus.http.app import create_app
from eventbus.http.problem_pages import html, page
from eventbus.http.problem_types import BY_STATUS, TABLE


def client() -> httpx.AsyncClient:
    app: FastAPI = create_app("shop", why_not_ready=lambda: "it sleeps", max_body=100)

    @app.get("/status/{number}")
    async def status(number: int) -> None:
        raise HTTPException(number)

    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost")


@pytest.mark.parametrize("name", sorted(TABLE))
async def test_a_page_says_what_it_means_what_to_do_and_whether_to_repeat(name: str) -> None:
    one = TABLE[name]
    async with client() as http:
        answer = await http.get(one.uri)
        assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
        for part in (f"# {one.title}", one.meaning, one.advice, one.repeat, str(one.status)):
            assert part in answer.text
        shown = await http.get(one.uri, headers={"accept": "text/html,*/*;q=0.8"})
        assert shown.headers["content-type"].startswith("text/html")
        assert f"<h1>{one.title}</h1>" in shown.text
        assert f"]({one.uri})" in (await http.get("/problems")).text


@pytest.mark.parametrize("path", ["/nothing", "/readyz", "/status/x", "/problems/unheard-of"])
async def test_whatever_is_answered_names_a_page_that_is_there(path: str) -> None:
    async with client() as http:
        problem = (await http.get(path)).json()
        assert (await http.get(problem["type"])).text.startswith("# ")


@pytest.mark.parametrize("status", [one for one in HTTPStatus if one >= 400])
async def test_a_status_of_http_alone_has_a_page_too(status: HTTPStatus) -> None:
    async with client() as http:
        answer = await http.get(f"/status/{status.value}")
        assert answer.status_code == answer.json()["status"] == status
        assert answer.json()["title"] == (BY_STATUS[status].title if status in BY_STATUS else status.phrase)
        assert (await http.get(answer.json()["type"])).status_code == 200


async def test_a_page_is_safe_to_show_whatever_was_asked_for() -> None:
    async with client() as http:
        answer = await http.get("/problems/<script>alert(1)<%2Fscript>", headers={"accept": "text/html"})
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
    assert "<script>" not in html("# a <script>\n\n`<script>` [<script>](<script>)")


def test_two_types_cannot_share_a_name_and_a_name_is_fit_for_an_address() -> None:
    with pytest.raises(ValueError, match="another"):
        ProblemType("not-found", 410, "Gone", "It is gone.", "Nothing.", "Yes.", {"detail": "gone"})
    for name in ("", "Not-Found", "a b", "a/b", "-a"):
        with pytest.raises(ValueError, match="order-not-found"):
            ProblemType(name, 404, "t", "m", "a", "r", {"detail": "d"})
    assert TABLE["not-found"].status == 404


def test_members_of_an_answer_stand_beside_those_of_its_type() -> None:
    problem = Problem(INVALID_REQUEST, "it is wrong", limit=3)
    assert problem.body == {
        "type": "/problems/invalid-request",
        "title": "Invalid request",
        "status": 422,
        "detail": "it is wrong",
        "limit": 3,
    }
    assert str(problem) == "Invalid request: it is wrong"


def test_an_example_is_an_answer_of_its_type() -> None:
    for one in TABLE.values():
        assert one.body(**one.example)["status"] == one.status, "an example does not change its type"
        assert one.example.get("detail"), f"{one.name} has no example"
        assert page(one).count("```") == 2


def test_no_module_writes_a_problem_past_the_table() -> None:
    folder = Path(eventbus.http.__file__).parent
    for file in folder.glob("*.py"):
        module = importlib.import_module(f"eventbus.http.{file.stem}")
        assert "about:blank" not in file.read_text(), module
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Problem":
                first = node.args[0]
                assert isinstance(first, ast.Name), ast.unparse(node)
                assert first.id == "kind" or isinstance(getattr(module, first.id), ProblemType)
