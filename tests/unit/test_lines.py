"""Reading files of likes: three formats, and every way in which a line can be bad."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from cli.formats import BadHeader, Extra, Format
from cli.lines import LONGEST_LINE, BadLine, Line, Lines
from cli.wanted_file import WantedFile


def read(content: bytes, format_: Format = Format.AUTO, **wanted: Any) -> list[Line | BadLine]:
    return list(Lines(BytesIO(content), WantedFile("-", format_, **wanted)))


def test_json_with_and_without_count_and_counter() -> None:
    content = b'{"item":"a"}\n{"item":"b","count":-2}\r\n{"item":"c","count":3,"counter":"views"}'
    assert read(content) == [Line(1, "a", "likes", 1), Line(2, "b", "likes", -2), Line(3, "c", "views", 3)]


def test_csv_by_its_header_in_any_order() -> None:
    assert read(b'item,count\n"a,b",2\nc,-3\n') == [Line(2, "a,b", "likes", 2), Line(3, "c", "likes", -3)]
    assert read(b"counter,item\nviews,a\n,b\n") == [Line(2, "a", "views", 1), Line(3, "b", "likes", 1)]


def test_one_item_a_line_whatever_it_looks_like() -> None:
    items = ["{}", "-1fz", ":", "*", "'\"", "trailing  ", "A", "a", "é", "e\u0301", "👍", "a,b"]
    content = "\n".join(items).encode()
    assert [line.item for line in read(content) if isinstance(line, Line)] == items


def test_empty_lines_are_nothing_and_numbers_go_on() -> None:
    assert read(b"\n\na\n\nb\n") == [Line(3, "a", "likes", 1), Line(5, "b", "likes", 1)]
    assert read(b"") == []


def test_a_byte_order_mark_is_ignored() -> None:
    assert read(b'\xef\xbb\xbf{"item":"a"}\n') == [Line(1, "a", "likes", 1)]
    assert read(b"\xef\xbb\xbfitem,count\na,1\n") == [Line(2, "a", "likes", 1)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not JSON"),
        (b"[]", 'not a JSON object with an "item"'),
        (b"{}", 'not a JSON object with an "item"'),
        (b'{"item":1}', "item 1 is not text"),
        (b'{"item":""}', "item is empty"),
        (b'{"item":"\\u0000"}', "control character"),
        (b'{"item":"\\ud800"}', "lone surrogate"),
        (b'{"item":"' + b"x" * 256 + b'"}', "256 bytes"),
        (b'{"item":"a","count":1.5}', "not a whole number"),
        (b'{"item":"a","count":true}', "not a whole number"),
        (b'{"item":"a","count":"3"}', "not a whole number"),
        (b'{"item":"a","count":NaN}', "not a whole number"),
        (b'{"item":"a","count":null}', "not a whole number"),
        (b'{"item":"a","count":2147483649}', "not within"),
        (b'{"item":"a","count":' + b"9" * 5000 + b"}", "a number too long"),
        (b"[" * 60_000, "nested too deeply"),
        (b'{"item":"a","counter":"a b"}', "counter 'a b'"),
        (b'{"item":"a","cuont":3}', "unknown field 'cuont'"),
        (b'{"item":"a\xff"}', "not UTF-8"),
        (b'{"item":"a"}' + b" " * LONGEST_LINE, "longer than"),
    ],
)
def test_a_bad_line_is_named_and_the_next_one_read(line: bytes, reason: str) -> None:
    bad, good = read(line + b'\n{"item":"good"}\n', Format.NDJSON)
    assert isinstance(bad, BadLine)
    assert bad.number == 1
    assert reason in bad.reason
    assert good == Line(2, "good", "likes", 1)


@pytest.mark.parametrize("row", [b"a", b"a,1,2", b"a,1.0", b"a, 1", b"a,", b'"a,1', b"a,1e3", "a,١".encode()])
def test_a_bad_row_of_csv(row: bytes) -> None:
    (bad,) = read(b"item,count\n" + row + b"\n")
    assert isinstance(bad, BadLine)
    assert bad.number == 2


@pytest.mark.parametrize("header", [b"item,date", b"item,count,count", b"item,count,counter,more"])
def test_csv_with_another_header_is_refused_as_a_whole(header: bytes) -> None:
    with pytest.raises(BadHeader):
        read(header + b"\na,1\n")


def test_the_format_given_wins() -> None:
    assert read(b'{"item":"a"}\n', Format.LINES) == [Line(1, '{"item":"a"}', "likes", 1)]
    with pytest.raises(BadHeader):
        read(b"a\nb\n", Format.CSV)


@pytest.mark.parametrize("header", [b"item;count", b"Item,Count", b"ITEM\tCOUNT"])
def test_what_a_spreadsheet_saves_is_not_taken_for_items(header: bytes) -> None:
    with pytest.raises(BadHeader):
        read(header + b"\na;3\n")


@pytest.mark.parametrize(
    "first", [b"video:42,3", b"name,date", b"a,b", b"video:42;3", b"a\t3", b'[{"item":"a"}]', b"[", b"{"]
)
def test_a_first_line_that_may_be_something_else_is_refused_unless_lines_are_asked_for(first: bytes) -> None:
    with pytest.raises(BadHeader, match="--format lines"):
        read(first + b"\nb\n")
    assert [line.number for line in read(first + b"\nb\n", Format.LINES)] == [1, 2]


def test_extra_fields_are_ignored_where_that_is_asked_for() -> None:
    content = b'{"item":"a","at":"2026-01-01","count":2}\n{"item":"b","user":{"id":7}}\n'
    assert all(isinstance(line, BadLine) and "--extra ignore" in line.reason for line in read(content))
    assert read(content, extra=Extra.IGNORE) == [Line(1, "a", "likes", 2), Line(2, "b", "likes", 1)]
    assert read(b"at,item,count\n2026,a,2\n", extra=Extra.IGNORE, format_=Format.CSV) == [Line(2, "a", "likes", 2)]
    with pytest.raises(BadHeader, match="--extra ignore"):
        read(b"item,count,at\na,2,2026\n")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a\nb\n\nc\n", Line(4, "c", "likes", 1)),
        (b"item,count\na,2\nbad,bad\nc,3", Line(4, "c", "likes", 3)),
        (b'{"item":"a"}\nbad\n\n{"item":"c","count":2}\n', Line(4, "c", "likes", 2)),
        (b"item\n" * 3 + b"a\n", Line(4, "a", "likes", 1)),
    ],
)
def test_going_on_from_a_line_reads_it_as_before(content: bytes, line: Line) -> None:
    assert read(content, from_line=4) == [line]
    assert read(content, from_line=5) == []


def test_a_line_is_kept_as_it_was_written() -> None:
    content = b'\xef\xbb\xbf{"item": "a"}\r\n{"item":\xff}\n{"item":"c" }'
    assert [line.raw for line in read(content)] == [b'{"item": "a"}\r\n', b'{"item":\xff}\n', b'{"item":"c" }']
