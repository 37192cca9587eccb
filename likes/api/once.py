"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07): a write that is repeated with it counts once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from likes.api.opened import Api
from likes.api.problems import Problem
from likes.errors import LikesError

LONGEST = 255
_QUOTED = re.compile(rb'"((?:[ !#-\[\]-~]|\\["\\]){1,510})"')  # a String of RFC 9651
_BARE = re.compile(rb"[!#-~][!-~]*")


def key_of(scope: Scope, caller: str = "") -> bytes | None:
    """The key that a request is to count once under, with all it is scoped by: who asks, method and path.

    None if it has none; raises Problem for one that is not allowed. caller: which API key asks.
    """
    given = [value.strip(b" \t") for name, value in scope["headers"] if name == b"idempotency-key"]
    if not given:
        return None
    path = unquote_to_bytes(scope["raw_path"].partition(b"?")[0])
    return b"\0".join((caller.encode(), scope["method"].encode(), path, _unquoted(given)))


async def like_or_once(api: Api, item: str, count: int, counter: str, key: bytes | None) -> int:
    """Count an item, once under a key if there is one; its pending delta after that."""
    with api.figures.counting():
        if key is None:
            return await api.likes.like(item, count, counter=counter)
        return await api.likes.like_once(item, count, counter=counter, key=key)


async def each_or_once(
    api: Api, entries: Sequence[tuple[str, int, str]], key: bytes | None
) -> Sequence[int | LikesError | None]:
    """Count many entries, (item, count, counter), once under a key if there is one; what became of each.

    That is its pending delta, None where an earlier request counted it, or why it was not.
    """
    if key is None:
        return await api.likes.like_each(entries)
    return await api.likes.add_once(entries, key=key)


def _unquoted(given: Iterable[bytes]) -> bytes:
    try:
        (value,) = given
    except ValueError:
        raise _not_allowed("is there more than once") from None
    if quoted := _QUOTED.fullmatch(value):
        value = re.sub(rb"\\(.)", rb"\1", quoted[1])
    elif not _BARE.fullmatch(value):
        raise _not_allowed("is neither text in quotes nor a word")
    if len(value) > LONGEST:
        raise _not_allowed(f"has {len(value)} characters")
    return value


def _not_allowed(what: str) -> Problem:
    allowed = f"allowed: 1 to {LONGEST} printable characters of ASCII, in quotes or without spaces"
    return Problem(HTTPStatus.BAD_REQUEST, "invalid-input", f"the Idempotency-Key {what}; {allowed}")
