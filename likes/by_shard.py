"""What is asked of a counter, checked and sorted by the shards it goes to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

from likes.errors import InvalidInput, LikesError
from likes.items import (
    check_count,
    check_counter,
    check_counts,
    check_entries,
    encode_item,
    encode_items,
    shard_of,
    shards_of,
    shorten,
)
from likes.member import Entry, Member, Placed, member_of, members_of

T = TypeVar("T")

ITEMS_A_READ = 500
PLACES_KEPT = 8192  # some megabytes; what is liked most is asked for over and over


@lru_cache(maxsize=PLACES_KEPT)
def _checked_place(item: str, counter: str, shards: int) -> tuple[int, Member]:
    encoded = encode_item(item)
    member = member_of(encoded, check_counter(counter).encode())
    return shard_of(encoded, shards), member


def place_of(item: str, counter: str, shards: int) -> tuple[int, Member]:
    """The shard and the member of an item; raises InvalidInput if anything is wrong. Those asked for often are kept."""
    try:
        return _checked_place(item, counter, shards)
    except TypeError:  # not even hashable
        encode_item(item)
        check_counter(counter)
        raise


def shard_under(item: str, shards: int) -> int:
    """The shard of a checked item under this number of shards."""
    return shard_of(item.encode(), shards)


def one_entry(item: str, count: int, counter: str, shards: int) -> dict[int, list[Entry]]:
    """One entry, under its shard; raises InvalidInput if anything about it is wrong."""
    shard, entry = placed(item, count, counter, shards)
    return {shard: [entry]}


def placed(item: str, count: int, counter: str, shards: int) -> Placed:
    """One entry and its shard; raises InvalidInput if anything about it is wrong."""
    shard, member = place_of(item, counter, shards)
    return Placed(shard, (member, check_count(count)))


def placed_each(entries: Sequence[tuple[str, int, str]], shards: int) -> list[Placed | InvalidInput]:
    """Each entry, (item, count, counter), and its shard, or why it is refused.

    All are checked together, which is quicker; only if that finds something are they checked one by one.
    """
    try:
        items, counts, counters = zip(*entries, strict=True)
        encoded = check_entries(items, counts, counters)
    except (InvalidInput, TypeError, ValueError):  # not even hashable, or there are none
        return [_placed_or_refused(*entry, shards) for entry in entries]
    before = {counter: counter.encode() for counter in {*counters}}
    return [
        Placed(shard, (member_of(item, before[counter]), count))
        for shard, item, count, counter in zip(shards_of(encoded, shards), encoded, counts, counters, strict=True)
    ]


def _placed_or_refused(item: str, count: int, counter: str, shards: int) -> Placed | InvalidInput:
    try:
        return placed(item, count, counter, shards)
    except InvalidInput as error:
        return error


def grouped(entries: Iterable[Placed | InvalidInput]) -> dict[int, list[Entry]]:
    """The entries of each shard, of those that are one; a member may recur."""
    sorted_out: dict[int, list[Entry]] = defaultdict(list)
    for each in entries:
        if isinstance(each, Placed):
            sorted_out[each.shard].append(each.entry)
    return sorted_out


def entries(deltas: Mapping[str, int], counter: str, shards: int) -> dict[int, list[Entry]]:
    """The entries of each shard; raises InvalidInput for any that is wrong."""
    check_counter(counter)
    if not isinstance(deltas, Mapping):
        raise InvalidInput(f"add takes a mapping, item -> count, not {type(deltas).__name__}")
    checked = dict(deltas)  # another thread may change theirs meanwhile
    check_counts(checked.values())
    encoded = encode_items(checked.keys())
    each = zip(members_of(encoded, counter.encode()), checked.values(), strict=True)
    sorted_out: dict[int, list[Entry]] = defaultdict(list)
    for entry, shard in zip(each, shards_of(encoded, shards), strict=True):
        sorted_out[shard].append(entry)
    return sorted_out


def members(items: list[str], counter: str, shards: int) -> list[dict[int, list[Member]]]:
    """For each read, the members of each shard; raises InvalidInput for any item that is wrong."""
    check_counter(counter)
    encoded = list(dict.fromkeys(encode_items(items)))
    reads: list[dict[int, list[Member]]] = []
    for start in range(0, len(encoded), ITEMS_A_READ):
        some = encoded[start : start + ITEMS_A_READ]
        read: dict[int, list[Member]] = defaultdict(list)
        for member, shard in zip(members_of(some, counter.encode()), shards_of(some, shards), strict=True):
            read[shard].append(member)
        reads.append(read)
    return reads


def by_item(items: Iterable[str], counter: str, found: Mapping[Member, T]) -> dict[str, T]:
    """Item -> what was found for its member."""
    return {item: found[member_of(item.encode(), counter.encode())] for item in items}


def several(items: Iterable[str]) -> list[str]:
    """The items of which totals are asked for; raises InvalidInput for a lone text, whose letters would be items."""
    if isinstance(items, str | bytes) or not isinstance(items, Iterable):
        raise InvalidInput(f"totals are read of several items; pass a list of them, not {shorten(repr(items))}")
    return list(items)


def all_found(found: Mapping[str, T | LikesError]) -> dict[str, T]:
    """`found`, if no error is among it; raises the first one that is."""
    totals: dict[str, T] = {}
    for item, each in found.items():
        if isinstance(each, LikesError):
            raise each
        totals[item] = each
    return totals
