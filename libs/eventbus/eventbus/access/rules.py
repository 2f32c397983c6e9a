"""What each route asks of its caller, in one table by method and path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from starlette.routing import BaseRoute, Route

from eventbus.access.caller import Scope


@dataclass(frozen=True, slots=True)
class Rule:
    """What a route asks of its caller.

    ``scope``: one that the caller must have; None lets in everybody, also those without credentials.
    ``customers``: whether a caller who acts for one customer is let in. Say so only of a route that shows and changes
    nothing of other customers.
    """

    scope: Scope | None
    customers: bool = False


Rules = Mapping[str, Rule]
"""By route: ``{"GET /orders/{orderId}": Rule(Scope.READ, customers=True)}``."""

OPEN = Rule(None, customers=True)
NOT_NAMED = Rule(Scope.ADMIN)
"""Of a route without a line in the table."""


class RuleTable:
    """Finds the rule of a request as the application finds its route: the first that takes its method and path."""

    def __init__(self, rules: Rules, routes: Iterable[BaseRoute]) -> None:
        """``routes``: all of the application, in their order. Raises TypeError for one whose paths are not known."""
        self._routes: dict[str, list[tuple[re.Pattern[str], Rule]]] = {}
        self._fixed: dict[tuple[str, str], Rule] = {}
        named: set[str] = set()
        for route in routes:
            if not isinstance(route, Route):
                raise TypeError(f"{route!r} is not a plain route: add routes that have a path and methods")
            for method in sorted(route.methods or ()):
                # A route that answers GET may answer HEAD too, and has one line for both.
                name = f"{'GET' if method == 'HEAD' else method} {route.path}"
                named.add(name)
                found = self._routes.setdefault(method, [])
                found.append((route.path_regex, rules.get(name, NOT_NAMED)))
                if first := self._search(method, route.path):
                    self._fixed[method, route.path] = first
        self.rules = rules
        self.missing = sorted(named - set(rules))
        """Routes that the table does not name. Only callers with the scope ``admin`` may use them."""
        self.unused = sorted(set(rules) - named)
        """Lines of the table that name no route."""

    def rule(self, method: str, path: str) -> Rule | None:
        """The rule of a request; None if no route answers it."""
        return self._fixed.get((method, path)) or self._search(method, path)

    def _search(self, method: str, path: str) -> Rule | None:
        routes = self._routes.get(method, ())
        return next((rule for pattern, rule in routes if pattern.match(path)), None)
