"""The kinds of problems that are answered, each with a page that says what it means and what to do (RFC 9457, 3.1.1).

A :class:`ProblemType` enters :data:`TABLE` when it is made, and a :class:`~eventbus.http.Problem` needs one. So each
answer names a type that ``GET /problems/<name>`` explains. Here are those that any service may answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TABLE: dict[str, ProblemType] = {}
"""All types of this process by their names: those of the library, and those of the services that were imported."""

_NAME = re.compile(r"[a-z]+(-[a-z]+)*")


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of problem, as its page tells it to the developer of a client.

    ``name`` is the last part of its address. ``meaning`` says what happened, ``advice`` what to do, ``repeat``
    whether the same request may be sent again. ``example``: members of an answer beside type, title and status.
    Raises ValueError for a name that another type has, or that is not like ``order-not-found``.
    """

    name: str
    status: int
    title: str
    meaning: str
    advice: str
    repeat: str
    example: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"the name of a problem type must be like order-not-found, not {self.name!r}")
        if TABLE.setdefault(self.name, self) != self:
            raise ValueError(f"there is another problem type {self.name!r}")

    @property
    def uri(self) -> str:
        """What ``type`` says: the address of the page, on the service that answered."""
        return f"/problems/{self.name}"

    def body(self, detail: str = "", **members: Any) -> dict[str, Any]:
        """The members of an answer of this type."""
        body: dict[str, Any] = {"type": self.uri, "title": self.title, "status": self.status}
        if detail:
            body["detail"] = detail
        return body | members


NOTHING_WAS_DONE = "Not as it is: it is answered the same again. Nothing was done."
AFTER_A_WAIT = "Yes, after the seconds that `Retry-After` names. Nothing was done."

MALFORMED_REQUEST = ProblemType(
    "malformed-request",
    400,
    "Bad Request",
    "What came is not a request by the rules of HTTP/1.1 (RFC 9112), or has no `Host` header, or more than one of a "
    "header that may be there once.",
    "Look at what the client, or a proxy in between, writes to the connection. The connection is closed.",
    NOTHING_WAS_DONE,
    {"detail": "the Host header must be there once"},
)
MALFORMED_JSON = ProblemType(
    "malformed-json",
    400,
    "Malformed JSON",
    "The body is not JSON (RFC 8259) in UTF-8, or is nested too deeply, or holds a number that is far too long.",
    "`detail` says where the reader stopped. Send what a JSON library writes.",
    NOTHING_WAS_DONE,
    {"detail": "The body is not JSON: Expecting value: line 1 column 1 (char 0)."},
)
NOT_AUTHENTICATED = ProblemType(
    "not-authenticated",
    401,
    "Unauthorized",
    "The request has no API key or access token, or one that is unknown, has expired, or is meant for somebody else.",
    "Send `Authorization: Bearer` with a valid one. `detail` says what is wrong. `WWW-Authenticate` says "
    "`invalid_token` if the request had one.",
    NOTHING_WAS_DONE,
    {"detail": "the key is unknown, or no longer valid"},
)
FOREIGN_ORIGIN = ProblemType(
    "foreign-origin",
    403,
    "Forbidden",
    "A browser sent this request for a page of another site (`Origin`, `Sec-Fetch-Site`). Such pages may change "
    "nothing.",
    "Send it from a server, or from a page that has the name of this service. Clients that are no browsers leave "
    "both headers out.",
    NOTHING_WAS_DONE,
    {"detail": "pages of other sites may not send this (Origin)"},
)
FORBIDDEN = ProblemType(
    "forbidden",
    403,
    "Forbidden",
    "The service knows who calls, and this caller may not do this: it lacks a scope, or acts for another customer.",
    "`WWW-Authenticate` names the scope that is missing. Ask whoever gave you the key or the token.",
    NOTHING_WAS_DONE,
    {"detail": "userId: this caller places orders of u-1 only"},
)
NOT_FOUND = ProblemType(
    "not-found",
    404,
    "Not Found",
    "This service has nothing at this path.",
    "Compare the path with `/openapi.json`. Each service answers for its own paths only.",
    NOTHING_WAS_DONE,
    {"detail": "there is nothing at /order"},
)
METHOD_NOT_ALLOWED = ProblemType(
    "method-not-allowed",
    405,
    "Method Not Allowed",
    "There is something at this path, but not for this method.",
    "`Allow` names the methods that are answered.",
    NOTHING_WAS_DONE,
    {"detail": "DELETE is not allowed here"},
)
REQUEST_TIMEOUT = ProblemType(
    "request-timeout",
    408,
    "Request Timeout",
    "The headers did not come in time, or the body came too slowly. The connection is closed.",
    "Send the request at once, over a connection that is fast enough.",
    "Yes, over a new connection. Nothing was done.",
    {"detail": "body too slow"},
)
CONTENT_TOO_LARGE = ProblemType(
    "content-too-large",
    413,
    "Content Too Large",
    "The body has more bytes than this service takes, or too much around it (chunk sizes, extensions, trailers).",
    "Send less at once. EVENTBUS_MAX_BODY is the limit.",
    NOTHING_WAS_DONE,
    {"detail": "the body is larger than 1048576 bytes"},
)
UNSUPPORTED_MEDIA_TYPE = ProblemType(
    "unsupported-media-type",
    415,
    "Unsupported Media Type",
    "The body is of a media type that is not read here, or is compressed, or does not say what it is.",
    "Send `Content-Type: application/json`, and no `Content-Encoding`.",
    NOTHING_WAS_DONE,
    {"detail": "the body needs one Content-Type: application/json"},
)
MISDIRECTED_REQUEST = ProblemType(
    "misdirected-request",
    421,
    "Misdirected Request",
    "The service does not answer to the name in `Host`. This keeps out web pages whose name was made to point here.",
    "Ask it as localhost, or add the name to EVENTBUS_HTTP_ALLOWED_HOSTS.",
    NOTHING_WAS_DONE,
    {"detail": "this service is not called 'shop.example': ask it as localhost, or add the name to …"},
)
INVALID_REQUEST = ProblemType(
    "invalid-request",
    422,
    "Invalid request",
    "The request was understood, but something in it is wrong: a field of the body, a parameter, or a header.",
    "`errors` names each wrong field and says what is wrong with it. Mend these, and send the request again.",
    NOTHING_WAS_DONE,
    {
        "detail": "items[0].quantity: must be 1 or more",
        "errors": [{"field": "items[0].quantity", "message": "must be 1 or more"}],
    },
)
IDEMPOTENCY_KEY_REUSED = ProblemType(
    "idempotency-key-reused",
    422,
    "Idempotency-Key used before",
    "This caller sent another request with the same `Idempotency-Key` before. A key stands for one request.",
    "Make a key for each new request, a UUID for instance. For the answer to the first request, send that one again.",
    "Yes, with a key of its own. Nothing was done.",
    {
        "detail": "Idempotency-Key: was used before with another request body",
        "errors": [{"field": "Idempotency-Key", "message": "was used before with another request body"}],
    },
)
TOO_MANY_REQUESTS = ProblemType(
    "too-many-requests",
    429,
    "Too Many Requests",
    "This caller sends more requests to this replica than it may. `RateLimit-Policy` and `RateLimit` say how many.",
    "Wait for the seconds that `Retry-After` names, and send fewer.",
    AFTER_A_WAIT,
    {"detail": "this caller sends more requests than it may. Ask again in 1 s."},
)
HEADERS_TOO_LARGE = ProblemType(
    "headers-too-large",
    431,
    "Request Header Fields Too Large",
    "The headers have more bytes than a service takes. The connection is closed.",
    "Leave headers out; look for large cookies. EVENTBUS_HTTP_MAX_HEADER is the limit.",
    NOTHING_WAS_DONE,
    {"detail": "headers too large"},
)
INTERNAL_ERROR = ProblemType(
    "internal-error",
    500,
    "Internal Server Error",
    "The service has a defect. Its log holds the error.",
    "Report it, with the time and the request.",
    "A GET may be repeated, and so may a request with an `Idempotency-Key`. Of others it is not known what they did.",
    {"detail": "the error is in this service's log"},
)
UNAVAILABLE = ProblemType(
    "unavailable",
    503,
    "Service Unavailable",
    "Kafka cannot be reached, or this replica cannot say yet how things stand, or the answer was not known in time.",
    "Wait for the seconds that `Retry-After` names, then ask again; another replica may know it already.",
    "A GET may be repeated, and so may a request with an `Idempotency-Key`, with the same key. Another request may "
    "have taken effect: look before you repeat it.",
    {"detail": "this replica has not heard from Kafka lately and cannot say how things stand"},
)
TOO_MANY_CONNECTIONS = ProblemType(
    "too-many-connections",
    503,
    "Service Unavailable",
    "The service has as many connections as it may have, and all are in use.",
    "Wait a moment. Clients that keep a few connections open and use them again need fewer.",
    AFTER_A_WAIT,
    {"detail": "there are too many connections; ask again in a moment"},
)
TOO_MANY_STREAMS = ProblemType(
    "too-many-streams",
    503,
    "Service Unavailable",
    "The service has as many streams of events open as it may have: three quarters of its connections.",
    "Ask again; another replica may have room. EVENTBUS_HTTP_MAX_CONNECTIONS is the limit of connections.",
    AFTER_A_WAIT,
    {"detail": "there are too many streams; ask again in a moment"},
)
NOT_READY = ProblemType(
    "not-ready",
    503,
    "Not ready",
    "This replica is not caught up, or may not go on; `detail` says why. Only `/readyz` answers so.",
    "Send traffic to other replicas until it is ready.",
    "Yes.",
    {"detail": "this replica is catching up"},
)
OTHER = ProblemType(
    "other",
    400,
    "Bad Request",
    "The request was refused with a status that has no page of its own. `title` says what HTTP calls it (RFC 9110).",
    "`detail` says more, if there is more to say.",
    "That depends on the status.",
    {"detail": "the request was refused"},
)

BY_STATUS: Mapping[int, ProblemType] = {
    one.status: one
    for one in (
        MALFORMED_REQUEST,
        NOT_FOUND,
        METHOD_NOT_ALLOWED,
        REQUEST_TIMEOUT,
        CONTENT_TOO_LARGE,
        UNSUPPORTED_MEDIA_TYPE,
        MISDIRECTED_REQUEST,
        INVALID_REQUEST,
        HEADERS_TOO_LARGE,
        INTERNAL_ERROR,
        UNAVAILABLE,
    )
}
"""The type of an error that says its status only, as those of FastAPI do."""
