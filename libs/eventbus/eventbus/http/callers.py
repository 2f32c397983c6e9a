"""Who sent a request, and the answer 403 to what it may not do."""

from __future__ import annotations

from starlette.requests import Request

from eventbus.access import ANONYMOUS, Caller, Scope
from eventbus.http.problem_types import FORBIDDEN
from eventbus.http.problems import Problem

CALLER = "eventbus.caller"
"""Where an ASGI scope has it."""
CHALLENGE = 'Bearer realm="api"'


def caller(request: Request) -> Caller:
    """Who sent the request. While access control is off everybody is the same caller, and may do everything."""
    found: Caller = request.scope.get(CALLER, ANONYMOUS)
    return found


def forbidden(detail: str, scope: Scope | None = None) -> Problem:
    """403: the caller is known, and may not do this. ``scope``: the one that it lacks (RFC 6750, 3.1)."""
    challenge = f'{CHALLENGE}, error="insufficient_scope"'
    if scope:
        challenge += f', scope="{scope}"'
    return Problem(FORBIDDEN, detail, headers={"WWW-Authenticate": challenge})
