"""What an application may keep in a session: fields of JSON, each a field of the hash; checked before anything is sent.

A change replaces the fields it names and leaves the others alone, so whoever wants two values changed side by side
gives them two fields.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

from likes.errors import InvalidInput
from likes.items import shorten

MOST_FIELDS = 64
MOST_BYTES = 16_384  # names and values of one session together; escaped it fits the smallest TEXT of a database
MAX_USER_BYTES = 255
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # no space, which parts the names of those to be kept

Fields = Mapping[str, str]  # name -> its value as JSON


def check_user(user: object) -> str:
    """Return `user` if it is 1 to 255 bytes of UTF-8 without control characters; raise InvalidInput otherwise."""
    encoded = user.encode(errors="surrogatepass") if isinstance(user, str) else b""
    if (
        not isinstance(user, str)
        or not 1 <= len(encoded) <= MAX_USER_BYTES
        or any(unicodedata.category(character) in ("Cc", "Cs") for character in user)
    ):
        shown = shorten(ascii(user))
        raise InvalidInput(f"user {shown} is not 1 to {MAX_USER_BYTES} bytes of UTF-8 without control characters")
    return user


def check_names(names: Collection[str]) -> tuple[str, ...]:
    """The names of fields, each once; raises InvalidInput for one that is none, and for too many."""
    for name in names:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise InvalidInput(f"field {shorten(ascii(name))} is not 1 to 64 of A-Z a-z 0-9 _ . -")
    if len(names) > MOST_FIELDS:
        raise too_many_fields()
    return tuple(dict.fromkeys(names))


def to_json(fields: Mapping[str, Any]) -> dict[str, str]:
    """Name -> value as JSON. Raises InvalidInput for a name or a value that is none, and for too much of them."""
    written = {name: _json(name, fields[name]) for name in check_names(fields)}
    if sum(len(name) + len(value.encode()) for name, value in written.items()) > MOST_BYTES:
        raise too_many_bytes()
    return written


def from_json(fields: Fields) -> dict[str, Any]:
    """Name -> value."""
    return {name: json.loads(value) for name, value in sorted(fields.items())}


def too_many_fields() -> InvalidInput:
    """A session would have too many of them."""
    return InvalidInput(f"a session holds {MOST_FIELDS} fields at most; nothing was changed")


def too_many_bytes() -> InvalidInput:
    """They would take too much room."""
    return InvalidInput(f"the fields of a session take {MOST_BYTES} bytes at most; nothing was changed")


def _json(name: str, value: object) -> str:
    try:
        written = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        written.encode()
    except (TypeError, ValueError, RecursionError):  # NaN, a lone surrogate, too deep
        raise InvalidInput(f"field {name}: its value cannot be written as JSON in UTF-8") from None
    return written
