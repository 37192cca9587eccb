"""A member: an item and its counter as one, `<counter>:<item>` in UTF-8, as it stands in Redis's keys and batches.

A counter has no colon, so the first one ends it. Plain bytes to the machine, a type of its own to the reader.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, NewType, cast

Member = NewType("Member", bytes)
Entry = tuple[Member, int]  # and a delta of it


class Placed(NamedTuple):
    """An entry and its shard."""

    shard: int
    entry: Entry


def member_of(item: bytes, counter: bytes) -> Member:
    """The member of an item and a counter, both checked before."""
    return Member(counter + b":" + item)


def members_of(items: Iterable[bytes], counter: bytes) -> list[Member]:
    """The members of many items and one counter, checked before; quicker than one by one."""
    prefix = counter + b":"
    return cast("list[Member]", [prefix + item for item in items])


def split(member: bytes) -> tuple[bytes, bytes]:
    """Counter and item of a member, as they stand there: nothing is checked."""
    counter, _, item = member.partition(b":")
    return counter, item


def named(member: Member) -> tuple[str, str]:
    """Counter and item of a member that was checked when it was made."""
    counter, item = split(member)
    return counter.decode(), item.decode()


def split_all(members: Sequence[bytes]) -> tuple[str, list[str]] | None:
    """Counter and items of members, split all at once, which is quicker.

    None if they are not all of one counter, not UTF-8, or one of them has a line break. Nothing else is checked.
    """
    try:
        names = b"\n".join(members).decode()
    except UnicodeDecodeError:
        return None
    counter, colon, _ = names.partition(":")
    items = names.removeprefix(counter + colon).split("\n" + counter + colon)
    return (counter, items) if len(items) == len(members) else None
