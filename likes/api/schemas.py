"""What requests and answers look like, as JSON Schema: what the routes read and write by hand, for the document.

Here what all of them use, and what counting routes do; sessions, events and health have schemas of their own.
"""

from __future__ import annotations

from typing import get_args

from likes.api.once import LONGEST as LONGEST_KEY
from likes.api.openapi import Schema, answer, closed, listed, parameter, reference
from likes.api.problems import KINDS
from likes.items import COUNTER, DEFAULT_COUNTER, MAX_COUNT, MAX_ITEM_BYTES
from likes.live.total import Doubt

MOST_ENTRIES = 1_000
MOST_ITEMS = 100
MOST_RANKED, RANKED = 1_000, 10

# Of problems; what stands for an error of the library comes from there.
TYPES = (
    *dict.fromkeys(kind.type for kind in KINDS.values()),
    "malformed-request",
    "header-too-large",
    "request-timeout",
    "http-version",
    "unauthorized",
    "forbidden",
    "not-found",
    "method-not-allowed",
    "content-too-large",
    "unsupported-media-type",
    "quota-exceeded",
    "no-session",
    "session-over",
    "too-many-streams",
    "too-many-connections",
    "redis-refused",
    "stopping",
)

# `format`: that of 255 bytes and no control characters, which a pattern cannot say.
ITEM: Schema = {
    "type": "string",
    "format": "item",
    "minLength": 1,
    "maxLength": MAX_ITEM_BYTES,
    "description": f"1 to {MAX_ITEM_BYTES} bytes of UTF-8 without control characters, compared byte by byte",
    "examples": ["video:42"],
}
COUNTER_NAME: Schema = {
    "type": "string",
    "pattern": f"^{COUNTER.pattern}$",
    "default": DEFAULT_COUNTER,
    "description": "which count of the item",
}
COUNT: Schema = {
    "type": "integer",
    "minimum": -MAX_COUNT,
    "maximum": MAX_COUNT,
    "default": 1,
    "description": "how many more; negative ones count down",
}
IDEMPOTENCY_KEY: Schema = {
    "type": "string",
    "pattern": rf'^("([ !#-\[\]-~]|\\["\\]){{1,{LONGEST_KEY}}}"|[!#-~][!-~]{{0,{LONGEST_KEY - 1}}})$',
    "description": f"1 to {LONGEST_KEY} printable characters of ASCII, in quotes or without spaces. Sent again with it "
    "within 24 hours, the request is answered as the first was, and counts once",
    "examples": ["8e03978e-40d5-43e8-bc93-6894a57f9324"],
}
BIG: Schema = {"type": "integer", "format": "int64"}
MOMENT: Schema = {"type": "string", "format": "date-time"}


PROBLEM: Schema = answer(
    type={"type": "string", "description": f"for programs, one of {', '.join(TYPES)}"},
    title={"type": "string"},
    status={"type": "integer", "minimum": 400, "maximum": 599},
    detail={"type": "string", "description": "what is wrong and what to do, for people"},
)
COUNTED: Schema = answer(
    item=ITEM,
    counter=COUNTER_NAME,
    delta={**COUNT, "description": "what was counted"},
    pending={**BIG, "description": "what Redis has counted of it and no worker has handed off"},
)
NOT_COUNTED: Schema = {
    **PROBLEM,
    "description": "the problem of one entry, with its item and counter where they are allowed ones",
}
LIVE: dict[str, Schema] = {
    "total": {**BIG, "description": "database + in_flight + pending"},
    "database": BIG,
    "in_flight": {**BIG, "description": "handed off by a worker, not yet in the database"},
    "pending": BIG,
    "exact": {"type": "boolean", "description": "whether it was true while it was read; else `doubt` says why not"},
}
DOUBT: Schema = {
    "type": "string",
    "enum": [*get_args(Doubt)],
    "description": "out-of-step: Redis or the database was emptied, replaced or restored; the next flush notices. "
    "other-database: this Redis belongs to another database; `likes check` names both, and says what to do. "
    "redis-away: it is the database's total alone",
}


def live(**named: Schema) -> Schema:
    """An object with these properties, and a live total."""
    schema = answer(**named, **LIVE)
    schema["properties"]["doubt"] = DOUBT
    return schema


COMPONENTS: dict[str, Schema] = {
    "Problem": PROBLEM,
    "Like": {**closed(count=COUNT, counter=COUNTER_NAME), "examples": [{"count": 1, "counter": "likes"}]},
    "Entry": closed("item", item=ITEM, count=COUNT, counter=COUNTER_NAME),
    "Likes": {
        **closed(
            "likes",
            likes={"type": "array", "minItems": 1, "maxItems": MOST_ENTRIES, "items": reference("Entry")},
        ),
        "description": "An entry that is not allowed is refused alone, and the others count.",
        "examples": [{"likes": [{"item": "video:42"}, {"item": "video:7", "count": 3, "counter": "views"}]}],
    },
    "Counted": COUNTED,
    "CountedEntry": {
        **COUNTED,
        "required": ["item", "counter", "delta"],
        "description": "A repeated request is told without `pending` of what it counted the first time.",
    },
    "NotCounted": NOT_COUNTED,
    "Results": {
        **answer(
            results={
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_ENTRIES,
                "items": {"anyOf": [reference("CountedEntry"), reference("NotCounted")]},
            }
        ),
        "description": "One for each entry, in their order; those with a `delta` were counted.",
    },
    "LiveTotal": live(item=ITEM, counter=COUNTER_NAME),
    "LiveTotals": listed("items", "LiveTotal", MOST_ITEMS),
    "Total": answer(item=ITEM, counter=COUNTER_NAME, total=BIG, updated_at=MOMENT),
    "Totals": listed("items", "Total", MOST_RANKED),
}


COUNTER_PARAMETER = parameter("counter", COUNTER_NAME)
ITEMS_PARAMETER = parameter(
    "item",
    {"type": "array", "minItems": 1, "maxItems": MOST_ITEMS, "items": ITEM},
    required=True,
    style="form",
    explode=True,
)
IDEMPOTENCY_PARAMETER: Schema = {"name": "Idempotency-Key", "in": "header", "schema": IDEMPOTENCY_KEY}
