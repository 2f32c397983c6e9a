"""What Avro's resolution alone cannot do for a message of an older version."""

from __future__ import annotations

from typing import Any

Record = dict[str, Any]


def _article_to_contents(record: Record) -> Record:
    """Version 1 knew one article: it becomes the only line of the contents."""
    return {**record, "contents": [{"article": record["article"], "pieces": 1}]}


UPCASTS = {("SendParcel", 1): _article_to_contents}
