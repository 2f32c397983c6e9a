"""The HTTP side of a service: what its routes use, and the server that keeps clients within limits."""

from eventbus.http.bodies import MAX_VALUES, parse_json, read_body
from eventbus.http.openapi import KEY, LINES, ONE_LINE, Responses, problem_responses
from eventbus.http.problems import MAX_ERRORS, Problem, field_path, invalid, one_line
from eventbus.http.slices import SlicedWork, Slices

__all__ = [
    "KEY",
    "LINES",
    "MAX_ERRORS",
    "MAX_VALUES",
    "ONE_LINE",
    "Problem",
    "Responses",
    "SlicedWork",
    "Slices",
    "field_path",
    "invalid",
    "one_line",
    "parse_json",
    "problem_responses",
    "read_body",
]
