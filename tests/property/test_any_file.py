"""Files of likes made of any bytes at all: reading them never fails, and every line is answered by its number."""

from __future__ import annotations

from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st

from cli.formats import BadHeader, Format
from cli.lines import BadLine, Line, Lines
from cli.wanted_file import WantedFile
from likes.items import check_count, check_counter, check_item

PIECES = [
    b'{"item":',
    b'"a"',
    b"}",
    b'"count":',
    b"1e999",
    b"[",
    b"item,count",
    b'"',
    b",",
    b"\r",
    b"\xef\xbb\xbf",
    b"\\ud800",
]
LINES = (
    st.lists(st.sampled_from(PIECES) | st.binary(max_size=8)).map(b"".join).map(lambda line: line.replace(b"\n", b""))
)


@given(st.lists(LINES), st.sampled_from(Format), st.booleans())
def test_any_bytes(lines: list[bytes], format_: Format, ended: bool) -> None:
    content = b"\n".join(lines) + b"\n" * ended
    try:
        read = list(Lines(BytesIO(content), WantedFile("-", format_)))
    except BadHeader:
        return
    numbers = [line.number for line in read]
    written = [
        number
        for number, line in enumerate(lines, 1)
        if line.removesuffix(b"\r").removeprefix(b"\xef\xbb\xbf" * (number == 1))
    ]
    header_is_skipped = len(written) - len(numbers)
    assert header_is_skipped in (0, 1)
    assert set(numbers) <= set(written)
    for line in read:
        match line:
            case Line():
                check_item(line.item)
                check_counter(line.counter)
                check_count(line.count)
            case BadLine():
                assert line.reason


@given(st.lists(LINES))
def test_plain_lines_are_items_as_they_stand(lines: list[bytes]) -> None:
    read = Lines(BytesIO(b"\n".join(lines)), WantedFile("-", Format.LINES))
    for line in read:
        if isinstance(line, Line):
            written = lines[line.number - 1].removesuffix(b"\r")
            assert line.item.encode() == (written.removeprefix(b"\xef\xbb\xbf") if line.number == 1 else written)
