"""Sessions as JSON Schema, for the document."""

from __future__ import annotations

from likes.api.openapi import Schema, answer, closed, parameter, reference
from likes.api.schemas import MOMENT
from likes.sessions.fields import MAX_USER_BYTES, MOST_BYTES, MOST_FIELDS, NAME

# `format`: that of 255 bytes and no control characters, which a pattern cannot say.
USER: Schema = {
    "type": "string",
    "format": "user",
    "minLength": 1,
    "maxLength": MAX_USER_BYTES,
    "description": f"1 to {MAX_USER_BYTES} bytes of UTF-8 without control characters",
    "examples": ["mary"],
}
USER_OR_NOBODY: Schema = {**USER, "type": ["string", "null"], "description": f"{USER['description']}; null for nobody"}
NAME_OF_FIELD: Schema = {"type": "string", "pattern": f"^{NAME.pattern}$"}
FIELDS: Schema = {
    "type": "object",
    "maxProperties": MOST_FIELDS,
    "propertyNames": NAME_OF_FIELD,
    "description": f"name, 1 to 64 of A-Z a-z 0-9 _ . -, to any JSON; {MOST_BYTES:,} bytes together",
}
TOKEN: Schema = {"type": "string", "pattern": r"^\d{1,2}\.[A-Za-z0-9_-]{43}$", "description": "told nowhere else"}
HITS: Schema = {"type": "integer", "minimum": 0, "description": "how many requests came with its token"}

SHOWN: dict[str, Schema] = {
    "user": USER_OR_NOBODY,
    "fields": FIELDS,
    "hits": HITS,
    "created_at": MOMENT,
    "expires_at": {**MOMENT, "description": "unless it is used before"},
}

SESSIONS: dict[str, Schema] = {
    "Beginning": {
        **closed(
            user=USER_OR_NOBODY,
            fields=FIELDS,
            keep={
                "type": "array",
                "maxItems": MOST_FIELDS,
                "items": NAME_OF_FIELD,
                "description": "the names of those fields that the database gets when the session ends",
            },
        ),
        "examples": [{"user": "mary", "fields": {"cart": ["book"]}, "keep": ["cart"]}],
    },
    "Change": {
        **closed("fields", fields={**FIELDS, "description": f"null removes one; {FIELDS['description']}"}),
        "examples": [{"fields": {"theme": "dark", "cart": None}}],
    },
    "Rotation": {**closed(user=USER_OR_NOBODY), "description": "user: who has just logged in, if anybody has"},
    "Session": answer(**SHOWN),
    "BegunSession": answer(token=TOKEN, **SHOWN),
    "ListedSession": answer(
        id={"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "the SHA-256 of its token"},
        hits=HITS,
        created_at=MOMENT,
        last_seen=MOMENT,
        expires_at=SHOWN["expires_at"],
    ),
    "UserSessions": {"type": "array", "items": reference("ListedSession"), "description": "the newest first"},
    "Revoked": answer(ended={"type": "integer", "minimum": 0, "description": "how many sessions were ended"}),
}

USER_PARAMETER = parameter("user", USER, required=True)
