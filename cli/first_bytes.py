"""What a file is by its first bytes: text in UTF-8; gzip, which is unpacked; or what has to be converted first."""

from __future__ import annotations

import gzip
import shlex
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, BinaryIO, cast

from likes.errors import InvalidInput

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BYTES_LOOKED_AT = 4096
GZIP = b"\x1f\x8b"
# How each begins, what it is, and what makes it UTF-8. UTF-32 first: its mark begins as that of UTF-16 does.
OTHERS = (
    (b"\xff\xfe\x00\x00", "UTF-32", "iconv -f UTF-32 -t UTF-8"),
    (b"\x00\x00\xfe\xff", "UTF-32", "iconv -f UTF-32 -t UTF-8"),
    (b"\xff\xfe", "UTF-16", "iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", "UTF-16", "iconv -f UTF-16 -t UTF-8"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "zstdcat"),
    (b"BZh", "compressed with bzip2", "bzcat"),
    (b"\xfd7zXZ\x00", "compressed with xz", "xzcat"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "lz4cat"),
    (b"PK\x03\x04", "a ZIP archive", "unzip -p"),
)


def as_text(file: BufferedReader, path: str) -> BinaryIO:
    """The text in `file`, which was named `path`, "-" for stdin. Raises InvalidInput for what is not UTF-8."""
    head, whole = _look(file)
    if not head.startswith(GZIP):
        _require_utf8(head, path)
        return whole
    unpacked = gzip.GzipFile(fileobj=whole)
    try:
        head = unpacked.peek(BYTES_LOOKED_AT)
    except (OSError, EOFError) as error:
        raise InvalidInput(f"{called(path)} begins as gzip does, and cannot be unpacked: {error}") from None
    if head.startswith(GZIP):
        raise _to_convert(path, "compressed with gzip twice", "zcat", "zcat")
    _require_utf8(head, path, "zcat")
    return BufferedReader(cast("RawIOBase", unpacked))


def called(path: str) -> str:
    """The file in messages."""
    return "stdin" if path == "-" else f"file {path!r}"


def _look(file: BufferedReader) -> tuple[bytes, BinaryIO]:
    """Its first bytes, and the file as it was before they were read."""
    if file.seekable():
        start = file.tell()
        head = file.read(BYTES_LOOKED_AT)
        file.seek(start)
        return head, file
    head = file.read(BYTES_LOOKED_AT)
    return head, BufferedReader(_Whole(head, file))


class _Whole(RawIOBase):
    """What was read of a stream already, and then the rest of it."""

    def __init__(self, head: bytes, rest: BufferedReader) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        room = memoryview(buffer)
        some = self._head[: len(room)] or self._rest.read1(len(room))
        self._head = self._head[len(some) :]
        room[: len(some)] = some
        return len(some)


def _require_utf8(head: bytes, path: str, *before: str) -> None:
    for magic, what, program in OTHERS:
        if head.startswith(magic):
            raise _to_convert(path, what, *before, program)
    if order := _order_of_utf16(head):
        raise _to_convert(path, "UTF-16", *before, f"iconv -f UTF-16{order} -t UTF-8")


def _order_of_utf16(head: bytes) -> str:
    """LE or BE if one byte of each pair is often NUL, the other never, and lines end so; "" if it is not UTF-16."""
    even, odd = head[0::2], head[1::2]
    if len(even) == len(odd):
        for order, high, low in (("LE", odd, even), ("BE", even, odd)):
            ends = b"\n" not in head or (ord("\n"), 0) in zip(low, high, strict=True)
            if 8 * high.count(0) >= len(high) > 0 and 0 not in low and ends:
                return order
    return ""


def _to_convert(path: str, what: str, *programs: str) -> InvalidInput:
    """The error that says what the file is, and the pipe that posts it."""
    first, *others = programs
    pipe = " | ".join([first if path == "-" else f"{first} {shlex.quote(path)}", *others, "likes post --file -"])
    return InvalidInput(f"{called(path)} is {what}; convert it: {'… | ' if path == '-' else ''}{pipe}")
