"""What may be liked and counted: the one place where input is checked, and where an item finds its shard."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from zlib import crc32

from likes.errors import InvalidInput

MAX_ITEM_BYTES = 255
MAX_COUNT = 2**31
MAX_SHARDS = 1024
MAX_LIMIT = 100_000
DEFAULT_COUNTER = "likes"

COUNTER = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # no colon, which ends it in a member
NAMESPACE = r"[A-Za-z0-9_.:-]{1,64}"  # what the setting `prefix` may be: no braces, which would end a key's hash tag


def check_item(item: object) -> str:
    """Return `item` if it is 1 to 255 bytes of UTF-8 without control characters; raise InvalidInput otherwise."""
    return encode_item(item).decode()


def encode_item(item: object) -> bytes:
    """The UTF-8 bytes of an item; raise InvalidInput as `check_item` does."""
    if not isinstance(item, str):
        raise InvalidInput(f"item {shorten(repr(item))} is not text")
    if not item:
        raise InvalidInput("item is empty; give it 1 to 255 bytes")
    try:
        encoded = item.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"item {shorten(ascii(item))} is not valid UTF-8 (a lone surrogate)") from None
    if len(encoded) > MAX_ITEM_BYTES:
        raise InvalidInput(f"item {shorten(item)!r} has {len(encoded)} bytes; {MAX_ITEM_BYTES} are allowed")
    if not item.isprintable() and any(unicodedata.category(c) == "Cc" for c in item):
        raise InvalidInput(f"item {item!a} has a control character")
    return encoded


def encode_items(items: Collection[str]) -> list[bytes]:
    """The UTF-8 bytes of each item; raise InvalidInput as `check_item` does.

    All are checked together, which is quicker; only if that finds something are they checked one by one, to name it.
    """
    try:
        joined = "\n".join(items)
        encoded = joined.encode().split(b"\n")
    except (TypeError, UnicodeEncodeError):
        return [encode_item(item) for item in items]
    whole = len(encoded) == len(items) and all(encoded) and max(map(len, encoded)) <= MAX_ITEM_BYTES
    if whole and joined.replace("\n", "").isprintable():
        return encoded
    return [encode_item(item) for item in items]


def check_counter(counter: object) -> str:
    """Return `counter` if it is 1 to 64 of `A-Z a-z 0-9 _ . -`; raise InvalidInput otherwise."""
    if not isinstance(counter, str) or not COUNTER.fullmatch(counter):
        raise InvalidInput(f"counter {shorten(repr(counter))} is not 1 to 64 of A-Z a-z 0-9 _ . -")
    return counter


def check_count(count: object) -> int:
    """Return `count` if it is a whole number within ±2^31; raise InvalidInput otherwise."""
    if type(count) is not int:
        raise InvalidInput(f"count {shorten(ascii(count))} is not a whole number")
    if not -MAX_COUNT <= count <= MAX_COUNT:
        shown = count if count.bit_length() <= 64 else "(a very long number)"  # Python refuses to print the longest
        raise InvalidInput(f"count {shown} is not within ±{MAX_COUNT}")
    return count


def check_limit(limit: object) -> int:
    """Return `limit` if so many items may be asked for at once; raise InvalidInput otherwise."""
    if type(limit) is not int or not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"limit {shorten(ascii(limit))} is not a whole number, 1 to {MAX_LIMIT}")
    return limit


def check_counts(counts: Collection[int]) -> None:
    """Raise InvalidInput as `check_count` does, for the first that is not allowed."""
    if {*map(type, counts)} != {int} or min(counts) < -MAX_COUNT or max(counts) > MAX_COUNT:
        for count in counts:
            check_count(count)


def check_entries(items: Collection[str], counts: Collection[int], counters: Collection[str]) -> list[bytes]:
    """The UTF-8 bytes of each item, if all of them, all counts and all counters are allowed; raise InvalidInput for one
    that is not, and TypeError for a counter that cannot even be compared.
    """
    check_counts(counts)
    for counter in {*counters}:
        check_counter(counter)
    return encode_items(items)


def shard_of(item: bytes, shards: int) -> int:
    """The shard of an item, given as UTF-8 bytes: 0 to `shards` - 1."""
    return crc32(item) % shards


def shards_of(items: Iterable[bytes], shards: int) -> list[int]:
    """The shard of each item, as `shard_of` says; quicker than one by one."""
    return [crc32(item) % shards for item in items]


def shorten(text: str, width: int = 40) -> str:
    """`text`, cut to `width` characters where it is longer: a message that quotes it has to stay one line."""
    return text if len(text) <= width else text[: width - 1] + "…"
