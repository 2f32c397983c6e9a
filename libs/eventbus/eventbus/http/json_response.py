"""Answers in JSON, written by msgspec: starlette makes an encoder of the standard library for each answer."""

from __future__ import annotations

from typing import Any

from fastapi.responses import JSONResponse
from msgspec.json import Encoder

_encode = Encoder().encode


class JsonResponse(JSONResponse):
    """The bytes are those of starlette's, but for fractions. NaN and Infinity, which JSON has not, are null.

    Raises TypeError for an object that JSON has no form for, ValueError for text that is not Unicode.
    """

    def render(self, content: Any) -> bytes:
        return _encode(content)
