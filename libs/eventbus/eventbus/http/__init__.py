"""The HTTP side of a service: what its routes use, and the server that keeps clients within limits."""

from eventbus.headers import rfc3339
from eventbus.http.bodies import MAX_VALUES, parse_json, read_body, validated, validation_errors
from eventbus.http.direct import add_direct_route
from eventbus.http.freshness import require_fresh
from eventbus.http.json_response import JsonResponse
from eventbus.http.lines import NDJSON, Line, LinesResponse, lines_of, require_ndjson
from eventbus.http.openapi import (
    LINES,
    ONE_LINE,
    Responses,
    Time,
    header_parameter,
    idempotency_key_parameter,
    problem_responses,
)
from eventbus.http.problems import MAX_ERRORS, Problem, field_path, invalid, one_line
from eventbus.http.request_headers import (
    IDEMPOTENCY_KEY,
    idempotency_key,
    is_idempotency_key,
    matches,
    preferred_wait,
    trace,
)
from eventbus.http.slices import SlicedWork, Slices

__all__ = [
    "IDEMPOTENCY_KEY",
    "LINES",
    "MAX_ERRORS",
    "MAX_VALUES",
    "NDJSON",
    "ONE_LINE",
    "JsonResponse",
    "Line",
    "LinesResponse",
    "Problem",
    "Responses",
    "SlicedWork",
    "Slices",
    "Time",
    "add_direct_route",
    "field_path",
    "header_parameter",
    "idempotency_key",
    "idempotency_key_parameter",
    "invalid",
    "is_idempotency_key",
    "lines_of",
    "matches",
    "one_line",
    "parse_json",
    "preferred_wait",
    "problem_responses",
    "read_body",
    "require_fresh",
    "require_ndjson",
    "rfc3339",
    "trace",
    "validated",
    "validation_errors",
]
