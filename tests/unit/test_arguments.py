"""Settings before or after the command, counts that are whole numbers, lines merged so that calls take them."""

from __future__ import annotations

import pytest

from cli.arguments import parse_count, settings_first, wants_more
from cli.chunks import LINES_A_CHUNK, Chunk, chunks_of, ranges
from cli.lines import BadLine, Line
from likes.errors import InvalidInput
from likes.items import MAX_COUNT

SETTINGS = ["--redis-url", "--shards"]


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("post a --shards 4", "--shards 4 post a"),
        ("post a --shards=4 -n 2", "--shards=4 post a -n 2"),
        ("get a -v --redis-url x", "-v --redis-url x get a"),
        ("post -- --shards -v", "post -- --shards -v"),
        ("post --counter x", "post --counter x"),
    ],
)
def test_settings_come_first(words: str, first: str) -> None:
    assert settings_first(words.split(), SETTINGS) == first.split()


def test_a_setting_without_a_value_is_refused() -> None:
    with pytest.raises(InvalidInput, match="--shards needs a value"):
        settings_first(["get", "--shards"], SETTINGS)


def test_more_is_wanted_only_before_two_dashes() -> None:
    assert wants_more(["get", "a", "--verbose"])
    assert not wants_more(["get", "--", "-v"])


@pytest.mark.parametrize(
    ("text", "count"), [("1", 1), ("-3", -3), ("+7", 7), ("007", 7), (str(-MAX_COUNT), -MAX_COUNT)]
)
def test_counts(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize(
    "text", ["", "1.5", "1e3", "1_000", " 1", "1\n", "0x1", "٣", "true", "NaN", str(MAX_COUNT + 1)]
)
def test_what_is_no_count(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_count(text)


def test_a_chunk_takes_so_many_lines_and_no_sum_that_a_call_refuses() -> None:
    chunk = Chunk()
    chunk.put(Line(1, "a", "likes", MAX_COUNT))
    assert not chunk.takes(Line(2, "a", "likes", 1))
    assert chunk.takes(Line(2, "a", "likes", -1))
    assert chunk.takes(Line(2, "a", "views", 1))
    for number in range(2, LINES_A_CHUNK):
        chunk.put(Line(number, "b", "likes", 1))
    chunk.put(BadLine(LINES_A_CHUNK, "bad"))
    assert not chunk.takes(Line(LINES_A_CHUNK + 1, "c", "likes", 1))
    assert not chunk.takes(BadLine(LINES_A_CHUNK + 1, "bad"))
    assert sorted(line.number for line in chunk.lines()) == list(range(1, LINES_A_CHUNK))


def test_a_chunk_of_long_lines_ends_sooner() -> None:
    lines = [Line(number, "a", "likes", 1, b"x" * 65_536) for number in range(1, 1001)]
    assert [chunk.last for chunk in chunks_of(lines)] == [256, 512, 768, 1000]


def test_ranges_of_lines() -> None:
    assert ranges([5, 1, 2, 3, 9, 10]) == "1-3, 5, 9-10"
    assert ranges([]) == ""
