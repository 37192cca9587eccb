"""The events of a stream as JSON Schema, for the document: `itemSchema` is one event of it, as in OpenAPI 3.2."""

from __future__ import annotations

from likes.api.openapi import Schema, answer, reference
from likes.api.schemas import COUNTER_NAME, ITEM, MOST_ITEMS, PROBLEM, live

EXAMPLE = """\
retry: 2000

event: totals
data: {"counter":"likes","totals":[{"item":"video:42","total":7,"database":5,"in_flight":0,"pending":2,"exact":true}]}
id: 0b9c3e5fd6aa41d2c7e81f30

"""

ID: Schema = {"type": "string", "description": "all that its client knows; the last event of a change has it"}
LAST_EVENT_ID: Schema = {
    "name": "Last-Event-ID",
    "in": "header",
    "schema": {"type": "string", "description": "the last `id` that came: only what changed since then is told"},
}

_SOME_ITEMS: Schema = {"type": "array", "minItems": 1, "maxItems": MOST_ITEMS}


def _event(name: str, data: str) -> Schema:
    told: Schema = {"type": "string", "contentMediaType": "application/json", "contentSchema": reference(data)}
    return {
        "type": "object",
        "properties": {"event": {"const": name}, "data": told, "id": ID, "retry": {"type": "integer"}},
        "required": ["event", "data"],
    }


EVENTS: dict[str, Schema] = {
    "Event": {
        "oneOf": [_event("totals", "TotalsEvent"), _event("trouble", "TroubleEvent")],
        "description": "One event of a stream.",
    },
    "TotalsEvent": {
        **answer(counter=COUNTER_NAME, totals={**_SOME_ITEMS, "items": reference("ItemTotal")}),
        "description": "The data of an event `totals`: the first time all, then those that changed.",
    },
    "ItemTotal": live(item=ITEM),
    "TroubleEvent": {
        **answer(**PROBLEM["properties"], counter=COUNTER_NAME, items={**_SOME_ITEMS, "items": ITEM}),
        "description": "The data of an event `trouble`: a problem, and the items it is about.",
    },
}

STREAM: Schema = {
    "description": "A stream that does not end by itself",
    "content": {"text/event-stream": {"itemSchema": reference("Event"), "example": EXAMPLE}},
}
