"""The HTTP side of a service: what its routes use, and the server that keeps clients within limits."""

from eventbus.headers import rfc3339
from eventbus.http.bodies import MAX_VALUES, parse_json, read_body, validated, validation_errors
from eventbus.http.callers import caller, forbidden
from eventbus.http.cursors import CURSOR, page_of, place_of
from eventbus.http.direct import add_direct_route
from eventbus.http.event_stream import EventStream, Source, stream_event, stream_position
from eventbus.http.freshness import require_fresh
from eventbus.http.instants import INSTANT, instant
from eventbus.http.json_response import JsonResponse
from eventbus.http.lines import NDJSON, Line, LinesResponse, lines_of, require_ndjson
from eventbus.http.openapi import (
    LINES,
    ONE_LINE,
    Responses,
    Time,
    header_parameter,
    idempotency_key_parameter,
    json_example,
    problem_responses,
)
from eventbus.http.problem_types import (
    AFTER_A_WAIT,
    CONTENT_TOO_LARGE,
    IDEMPOTENCY_KEY_REUSED,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    MALFORMED_JSON,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    NOTHING_WAS_DONE,
    TOO_MANY_STREAMS,
    UNAVAILABLE,
    ProblemType,
)
from eventbus.http.problems import MAX_ERRORS, Problem, field_path, invalid, one_line
from eventbus.http.queries import require_known
from eventbus.http.request_headers import (
    IDEMPOTENCY_KEY,
    idempotency_key,
    is_idempotency_key,
    key_reused,
    matches,
    preferred_wait,
    trace,
)
from eventbus.http.slices import SlicedWork, Slices

__all__ = [
    "AFTER_A_WAIT",
    "CONTENT_TOO_LARGE",
    "CURSOR",
    "IDEMPOTENCY_KEY",
    "IDEMPOTENCY_KEY_REUSED",
    "INSTANT",
    "INTERNAL_ERROR",
    "INVALID_REQUEST",
    "LINES",
    "MALFORMED_JSON",
    "MAX_ERRORS",
    "MAX_VALUES",
    "METHOD_NOT_ALLOWED",
    "NDJSON",
    "NOTHING_WAS_DONE",
    "NOT_FOUND",
    "ONE_LINE",
    "TOO_MANY_STREAMS",
    "UNAVAILABLE",
    "EventStream",
    "JsonResponse",
    "Line",
    "LinesResponse",
    "Problem",
    "ProblemType",
    "Responses",
    "SlicedWork",
    "Slices",
    "Source",
    "Time",
    "add_direct_route",
    "caller",
    "field_path",
    "forbidden",
    "header_parameter",
    "idempotency_key",
    "idempotency_key_parameter",
    "instant",
    "invalid",
    "is_idempotency_key",
    "json_example",
    "key_reused",
    "lines_of",
    "matches",
    "one_line",
    "page_of",
    "parse_json",
    "place_of",
    "preferred_wait",
    "problem_responses",
    "read_body",
    "require_fresh",
    "require_known",
    "require_ndjson",
    "rfc3339",
    "stream_event",
    "stream_position",
    "trace",
    "validated",
    "validation_errors",
]
