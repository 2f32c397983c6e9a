"""The page of scopes by route: one table of all services, from the rules that they are wired with."""

from __future__ import annotations

from eventbus import Rule, Rules
from eventbus.cli.creation import load
from eventbus.http.app import OPERATION
from tools.registry import SERVICES

TEXT = """# Scopes by route

What each route asks of its caller, once access control is on: [how to control access](../how-to/control-access.md). A
caller that acts for one customer is let in where the last column says so, and sees and changes only what is that
customer's.

| service | route | scope | customers |
|---|---|---|---|
"""


def access_page() -> str:
    """The page as Markdown."""
    rows = _rows("every service", OPERATION)
    for service in SERVICES:
        rows += _rows(service.name, load(service.wiring).rules)
    return TEXT + "".join(rows)


def _rows(service: str, rules: Rules) -> list[str]:
    return [
        f"| {service} | `{route}` | {_scope(rule)} | {'yes' if rule.customers else 'no'} |\n"
        for route, rule in rules.items()
    ]


def _scope(rule: Rule) -> str:
    return "open to all" if rule.scope is None else f"`{rule.scope}`"
