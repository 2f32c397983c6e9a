"""The query of a URL: a list that misses the name of a filter would be one of everything."""

from __future__ import annotations

from collections.abc import Collection

from starlette.requests import Request

from eventbus.http.problems import invalid


def require_known(request: Request, names: Collection[str]) -> None:
    """Raises Problem 422 for a parameter that is none of ``names``, and for one that is given twice."""
    given = [name for name, _ in request.query_params.multi_items()]
    wrong = [(name, "is no parameter of this list") for name in dict.fromkeys(given) if name not in names]
    wrong += [(name, "must be given once") for name in names if given.count(name) > 1]
    if wrong:
        raise invalid(wrong)
