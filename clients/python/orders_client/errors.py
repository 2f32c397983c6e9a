"""What can go wrong, as a tree.

OrdersError
├── ProblemAnswer   the service says what is wrong (RFC 9457); the page of its type says whether to repeat the call
└── NoAnswer        the service was not reached until the patience of the client was over
"""

from __future__ import annotations

from orders_client.models import Problem


class OrdersError(Exception):
    """Root of all errors that the client raises on purpose."""


class ProblemAnswer(OrdersError):
    """An answer that is a problem. ``type`` tells problems apart: it is the path of a page on the same service."""

    def __init__(self, problem: Problem) -> None:
        detail = problem.get("detail")
        super().__init__(f"{problem['status']} {problem['title']}" + (f": {detail}" if detail else ""))
        self.problem = problem

    @property
    def type(self) -> str:
        """Such as ``/problems/order-not-found``."""
        return self.problem["type"]

    @property
    def status(self) -> int:
        """The status of HTTP."""
        return self.problem["status"]


class NoAnswer(OrdersError):
    """The call may have taken effect. To repeat it with the same key is safe."""
