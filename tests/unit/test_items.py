"""What is refused at the edge, and what is an ordinary item."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likes.errors import InvalidInput, LikesError
from likes.items import (
    check_count,
    check_counter,
    check_counts,
    check_item,
    encode_item,
    encode_items,
    shard_of,
    shards_of,
)

ORDINARY = ["a", "A", "{}", ":", "*", '"quoted"', "it's", "👍🏽", "x ", " x", "-1fzGnFwz9M", "\u00e9", "e\u0301"]
LONGEST = ["a" * 255, "é" * 127]


@pytest.mark.parametrize("item", [*ORDINARY, *LONGEST])
def test_an_ordinary_item_stays_as_it_is(item: str) -> None:
    assert check_item(item) == item
    assert encode_item(item) == item.encode()


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("", "empty"),
        ("a" * 256, "256 bytes"),
        ("é" * 128, "256 bytes"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("\x7f", "control character"),
        ("\x85", "control character"),
        ("\ud800", "lone surrogate"),
        (b"bytes", "not text"),
        (42, "not text"),
        (None, "not text"),
    ],
)
def test_a_refused_item_is_named_with_the_reason(item: object, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        check_item(item)
    with pytest.raises(InvalidInput, match=reason):
        encode_items(["a", item, "b"])


@pytest.mark.parametrize("count", [0, 1, -1, 2**31, -(2**31)])
def test_a_whole_number_within_31_bits_is_a_count(count: int) -> None:
    assert check_count(count) == count


@pytest.mark.parametrize("count", [1.5, 1.0, True, "3", None, math.nan, 2**31 + 1, -(2**31) - 1])
def test_anything_else_is_no_count(count: object) -> None:
    with pytest.raises(InvalidInput):
        check_count(count)
    with pytest.raises(InvalidInput):
        check_counts([1, count, 2])


def test_a_number_too_long_to_print_is_no_count() -> None:
    with pytest.raises(InvalidInput, match="very long"):
        check_count(10**5000)


@pytest.mark.parametrize("counter", ["likes", "views", "A-b_c.9", "x" * 64])
def test_a_counter_is_a_plain_name(counter: str) -> None:
    assert check_counter(counter) == counter


@pytest.mark.parametrize("counter", ["", "a:b", "a b", "é", "x" * 65, "likes\n", None, 3])
def test_anything_else_is_no_counter(counter: object) -> None:
    with pytest.raises(InvalidInput):
        check_counter(counter)


@given(st.text(max_size=300))
def test_text_is_an_item_or_refused_and_never_anything_else(text: str) -> None:
    try:
        encoded = encode_item(text)
    except LikesError:
        return
    assert 1 <= len(encoded) <= 255
    assert encoded.decode() == text
    assert 0 <= shard_of(encoded, 16) < 16


@given(st.lists(st.text(max_size=3) | st.sampled_from([*ORDINARY, *LONGEST, "a" * 256]), max_size=5))
def test_many_items_are_checked_as_each_is(items: list[str]) -> None:
    def outcome_of(encode: Callable[[], list[bytes]]) -> list[bytes] | str:
        try:
            return encode()
        except InvalidInput as error:
            return str(error)

    assert outcome_of(lambda: encode_items(items)) == outcome_of(lambda: [encode_item(item) for item in items])


def test_many_counts_are_checked_as_each_is() -> None:
    check_counts([])
    check_counts([0, 1, -1, 2**31, -(2**31)])


def test_many_are_sorted_into_the_shards_they_have_one_by_one() -> None:
    items = [f"video:{n}".encode() for n in range(100)]
    for shards in (1, 16, 1024):
        assert shards_of(items, shards) == [shard_of(item, shards) for item in items]
        assert all(0 <= shard < shards for shard in shards_of(items, shards))
