"""Lines of a file, each a like; bad ones are told by number, and the next goes on."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from cli.formats import BadHeader, Format, Parse, guess, parser
from cli.wanted_file import WantedFile
from likes.errors import InvalidInput, LikesError

LONGEST_LINE = 65_536  # bytes; JSON may write one character as six
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """A good line; `raw` is how it was written, with its end."""

    number: int
    item: str
    counter: str
    count: int
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no like, and why; `raw` is empty for one too long to be kept, which was spilled."""

    number: int
    reason: str
    raw: bytes = field(default=b"", compare=False, repr=False)


class Keeper(Protocol):
    """Keeps lines that are not counted."""

    def begin(self, format_: Format, header: bytes) -> None:
        """Is told how the lines are written, and the first line of CSV."""

    def spill(self, piece: bytes) -> None:
        """Is given lines too long for memory, piece by piece."""


class Lines:
    """The lines of `file` that are `wanted` and not empty.

    Iterating raises BadHeader, and LikesError for a file that cannot be read to its end.
    """

    def __init__(self, file: BinaryIO, wanted: WantedFile, keeper: Keeper | None = None) -> None:
        self._file = file
        self._wanted = wanted
        self._keeper = keeper

    def __iter__(self) -> Iterator[Line | BadLine]:
        parse: Parse | None = None
        for number, raw in self._numbered():
            is_wanted = number >= self._wanted.from_line
            if not is_wanted and parse is not None:
                continue
            try:
                text = _decode(raw)
                if parse is None:
                    kind, parse = self._begin(text, raw)
                    if kind is Format.CSV:
                        continue
                if is_wanted:
                    yield Line(number, *parse(text), raw)
            except BadHeader:
                raise
            except InvalidInput as error:
                if is_wanted:
                    yield BadLine(number, str(error), raw if _fits(raw) else b"")

    def _begin(self, first: str, raw: bytes) -> tuple[Format, Parse]:
        kind = guess(first) if self._wanted.format is Format.AUTO else self._wanted.format
        parse = parser(kind, first, self._wanted.counter, self._wanted.extra)
        if self._keeper:
            self._keeper.begin(kind, raw if kind is Format.CSV else b"")
        return kind, parse

    def _numbered(self) -> Iterator[tuple[int, bytes]]:
        """Lines that are not empty, numbered from 1, with their ends; of one that is too long only the beginning."""
        number = 0
        while raw := self._read(LONGEST_LINE + 2):
            number += 1
            raw = raw.removeprefix(BOM) if number == 1 else raw
            if not _fits(raw):
                self._read_rest(raw, self._keeper if number >= self._wanted.from_line else None)
            if _without_end(raw):
                yield number, raw

    def _read_rest(self, raw: bytes, keeper: Keeper | None) -> None:
        while raw:
            if keeper:
                keeper.spill(raw)
            raw = b"" if raw[-1:] == b"\n" else self._read(LONGEST_LINE) or b"\n"

    def _read(self, most: int) -> bytes:
        try:
            return self._file.readline(most)
        except (OSError, EOFError, zlib.error) as error:
            raise LikesError(f"the file cannot be read to its end: {error}") from None


def _without_end(raw: bytes) -> bytes:
    return raw.removesuffix(b"\n").removesuffix(b"\r")


def _fits(raw: bytes) -> bool:
    return len(_without_end(raw)) <= LONGEST_LINE


def _decode(raw: bytes) -> str:
    if not _fits(raw):
        raise InvalidInput(f"longer than {LONGEST_LINE} bytes")
    line = _without_end(raw)
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"not UTF-8: byte {error.start + 1} is {line[error.start]:#04x}") from None
