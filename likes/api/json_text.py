"""JSON that no response of the framework writes: of problems, and of likes that were counted."""

from __future__ import annotations

import json
from json.encoder import encode_basestring


def json_text(value: object) -> str:
    """JSON without spaces, with all characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def counted_json(item: str, counter: str, delta: int, pending: int | None) -> str:
    """A `Counted` of the document, by hand, as there are thousands a second. pending: None where an earlier request
    counted it.
    """
    told = "" if pending is None else f',"pending":{pending}'
    return f'{{"item":{encode_basestring(item)},"counter":"{counter}","delta":{delta}{told}}}'
