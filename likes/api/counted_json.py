"""What is answered of a like that was counted: written thousands of times a second, so by hand."""

from __future__ import annotations

from json.encoder import encode_basestring


def counted_json(item: str, counter: str, delta: int, pending: int | None) -> str:
    """A `Counted` of the document. pending: None where an earlier request counted it."""
    told = "" if pending is None else f',"pending":{pending}'
    return f'{{"item":{encode_basestring(item)},"counter":"{counter}","delta":{delta}{told}}}'
