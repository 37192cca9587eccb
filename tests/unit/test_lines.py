"""Reading files of likes: three formats, and every way in which a line can be bad."""

from __future__ import annotations

from io import BytesIO

import pytest

from cli.lines import LONGEST_LINE, BadHeader, BadLine, Format, Line, read_lines


def read(content: bytes, format_: Format = Format.AUTO) -> list[Line | BadLine]:
    return list(read_lines(BytesIO(content), format_, "likes"))


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
