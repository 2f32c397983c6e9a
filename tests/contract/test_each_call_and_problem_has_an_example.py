"""Who reads an OpenAPI document sees what each call takes and what it answers, by examples that fit its schemas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from eventbus.http.problem_types import TABLE
from tools.openapi import documents

PROBLEM = "application/problem+json"
DOCUMENTS = documents()
OPERATIONS = [
    pytest.param(DOCUMENTS[name], operation, id=f"{name}: {method.upper()} {path}")
    for name, document in DOCUMENTS.items()
    for path, operations in document["paths"].items()
    for method, operation in operations.items()
]


def examples(content: dict[str, Any]) -> list[Any]:
    if "example" in content:
        return [content["example"]]
    return [one["value"] for one in content.get("examples", {}).values()]


def errors(document: dict[str, Any], schema: dict[str, Any], example: Any) -> list[str]:
    """Why an example is not what its schema says; references lead into the document."""
    whole = {"components": document["components"], "allOf": [schema]}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return [f"{example}: {error.message}" for error in validator.iter_errors(example)]


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is sent and what is answered, by where it stands."""
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"request, {kind}", content
    for status, response in operation["responses"].items():
        for kind, content in response.get("content", {}).items():
            yield f"{status}, {kind}", content


@pytest.mark.parametrize("name", DOCUMENTS)
def test_it_is_openapi_3_1(name: str) -> None:
    assert DOCUMENTS[name]["openapi"].startswith("3.1.")


@pytest.mark.parametrize(("document", "operation"), OPERATIONS)
def test_what_is_sent_and_answered_is_shown_by_examples_that_fit(
    document: dict[str, Any], operation: dict[str, Any]
) -> None:
    for where, content in contents(operation):
        found = examples(content)
        assert found, f"no example: {where} (problem_responses and json_example of eventbus.http give some)"
        for one in found:
            assert errors(document, content["schema"], one) == [], where


@pytest.mark.parametrize(("document", "operation"), OPERATIONS)
def test_each_parameter_that_must_be_there_has_an_example_that_fits(
    document: dict[str, Any], operation: dict[str, Any]
) -> None:
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        found = [*schema.get("examples", ()), *([parameter["example"]] if "example" in parameter else ())]
        assert found or not parameter["required"], f"no example: {parameter['name']}"
        for one in found:
            assert errors(document, schema, one) == [], parameter["name"]


@pytest.mark.parametrize(("document", "operation"), OPERATIONS)
def test_each_problem_is_one_whose_page_is_there(document: dict[str, Any], operation: dict[str, Any]) -> None:
    problems = {
        status: response["content"][PROBLEM]
        for status, response in operation["responses"].items()
        if PROBLEM in response.get("content", {})
    }
    assert {"400", "421", "422", "431", "503"} <= set(problems)
    for status, content in problems.items():
        types = content["schema"]["properties"]["type"]["enum"]
        assert types == [example["type"] for example in examples(content)]
        for uri in types:
            assert TABLE[uri.removeprefix("/problems/")].status == int(status)


@pytest.mark.parametrize(("document", "operation"), OPERATIONS)
def test_each_call_says_what_it_does(document: dict[str, Any], operation: dict[str, Any]) -> None:
    assert operation.get("summary"), operation
    for status, response in operation["responses"].items():
        assert response["description"], status
