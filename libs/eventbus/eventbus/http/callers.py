"""Who sent a request, and the answer 403 to what it may not do."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import Scope as ASGIScope

from eventbus.access import ANONYMOUS, Caller, Scope
from eventbus.http.problem_types import FORBIDDEN, NOT_AUTHENTICATED
from eventbus.http.problems import Problem

CALLER = "eventbus.caller"
"""Where an ASGI scope has it."""
ASK_AGAIN = "eventbus.ask_again"
"""Where an ASGI scope has the question who called, asked anew: an answer that goes on for long asks it again."""
CHALLENGE = 'Bearer realm="api"'


def caller(request: Request) -> Caller:
    """Who sent the request. While access control is off everybody is the same caller, and may do everything."""
    found: Caller = request.scope.get(CALLER, ANONYMOUS)
    return found


async def is_still_allowed(scope: ASGIScope) -> bool:
    """Whether the credentials of a request are still valid, and those of the same caller."""
    ask_again = scope.get(ASK_AGAIN)
    try:
        return ask_again is None or await ask_again() == scope[CALLER]
    except Problem as problem:
        return problem.type is not NOT_AUTHENTICATED  # an issuer that is away takes nothing back


def forbidden(detail: str, scope: Scope | None = None) -> Problem:
    """403: the caller is known, and may not do this. ``scope``: the one that it lacks (RFC 6750, 3.1)."""
    challenge = f'{CHALLENGE}, error="insufficient_scope"'
    if scope:
        challenge += f', scope="{scope}"'
    return Problem(FORBIDDEN, detail, headers={"WWW-Authenticate": challenge})
