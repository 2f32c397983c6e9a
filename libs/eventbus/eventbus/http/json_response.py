"""Answers in JSON, by an encoder that is made once: starlette makes one for each answer."""

from __future__ import annotations

import json
from typing import Any

from fastapi.responses import JSONResponse

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class JsonResponse(JSONResponse):
    """The bytes are those of starlette's. Raises ValueError for NaN and Infinity, TypeError for what JSON has not."""

    def render(self, content: Any) -> bytes:
        return _encode(content).encode()
