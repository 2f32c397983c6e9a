"""Code of yesterday: it lacks some schemas that the code of today knows."""

from __future__ import annotations

import struct
from collections.abc import Collection

from eventbus import Message
from eventbus.codec import Codec
from eventbus.model.errors import UnknownSchema


class OlderCodec(Codec):
    """Knows the packages without the schemas of the messages named in ``lacks``. Emptied, it is today's codec."""

    def __init__(self, *packages: str, lacks: Collection[str] = ()) -> None:
        super().__init__(*packages)
        self.lacks = set(lacks)

    def name_of(self, value: bytes | None, named: str | None = None) -> str:
        return self._known(value, super().name_of(value, named))

    def decode_value(self, value: bytes | None, named: str | None = None) -> Message:
        self._known(value, super().name_of(value, named))
        return super().decode_value(value, named)

    def _known(self, value: bytes | None, name: str) -> str:
        if name in self.lacks:
            raise UnknownSchema(f"unknown schema id {struct.unpack('>I', (value or b'')[1:5])[0]}")
        return name
