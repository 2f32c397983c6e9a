"""The HTTP side of a service: what its routes use, and the server that keeps clients within limits."""

from eventbus.headers import rfc3339
from eventbus.http.bodies import MAX_VALUES, parse_json, read_body, validated, validation_errors
from eventbus.http.direct import add_direct_route
from eventbus.http.event_stream import EventStream, Source, stream_event, stream_position
from eventbus.http.freshness import require_fresh
from eventbus.http.json_response import JsonResponse
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
from eventbus.http.request_headers import IDEMPOTENCY_KEY, idempotency_key, matches, preferred_wait, trace
from eventbus.http.slices import SlicedWork, Slices

__all__ = [
    "IDEMPOTENCY_KEY",
    "LINES",
    "MAX_ERRORS",
    "MAX_VALUES",
    "ONE_LINE",
    "EventStream",
    "JsonResponse",
    "Problem",
    "Responses",
    "SlicedWork",
    "Slices",
    "Source",
    "Time",
    "add_direct_route",
    "field_path",
    "header_parameter",
    "idempotency_key",
    "idempotency_key_parameter",
    "invalid",
    "matches",
    "one_line",
    "parse_json",
    "preferred_wait",
    "problem_responses",
    "read_body",
    "require_fresh",
    "rfc3339",
    "stream_event",
    "stream_position",
    "trace",
    "validated",
    "validation_errors",
]
