"""What a LikeCounter refuses before it has sent anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from likes import AsyncLikeCounter, InvalidInput, LikeCounter

NOWHERE = "redis://127.0.0.1:1"


@pytest.mark.parametrize("kind", [LikeCounter, AsyncLikeCounter])
@pytest.mark.parametrize("shards", [0, -1, 1025, 1.5, True, "4", None])
def test_shards_are_a_whole_number(kind: Any, shards: object) -> None:
    with pytest.raises(InvalidInput, match="shards"):
        kind(redis_url=NOWHERE, shards=shards)


@pytest.mark.parametrize("prefix", ["", "a b", "a{b", "é", "x" * 65, None])
def test_a_prefix_is_one_that_settings_take(prefix: Any) -> None:
    with pytest.raises(InvalidInput, match="prefix"):
        LikeCounter(redis_url=NOWHERE, prefix=prefix)


@pytest.mark.parametrize("deltas", [[("a", 1)], "abc", None, {"a"}])
def test_many_are_given_as_a_mapping(deltas: Any) -> None:
    with pytest.raises(InvalidInput, match="takes a mapping"):
        LikeCounter(redis_url=NOWHERE).add(deltas)


class Restless(Mapping[str, int]):
    """Its items stand in another order every time one looks, as if another thread were at it."""

    def __init__(self, counts: dict[str, int]) -> None:
        self._counts = counts

    def __getitem__(self, item: str) -> int:
        return self._counts[item]

    def __iter__(self) -> Iterator[str]:
        self._counts = dict(reversed(self._counts.items()))
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)


def test_each_item_keeps_its_count_while_the_mapping_changes() -> None:
    counts = {f"item {n}": n for n in range(10)}
    entries = LikeCounter(redis_url=NOWHERE)._entries(Restless(counts), "likes")
    assert {member.decode(): delta for some in entries.values() for member, delta in some} == {
        f"likes:{item}": n for item, n in counts.items()
    }
