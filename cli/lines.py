"""Lines of a file, each a like: NDJSON, CSV or one item a line; bad ones are told by number, and the next goes on."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

from cli.arguments import parse_count
from likes.errors import InvalidInput
from likes.items import check_count, check_counter, check_item, shorten

LONGEST_LINE = 65_536  # bytes; JSON may write one character as six
FIELDS = {"item", "count", "counter"}
BOM = b"\xef\xbb\xbf"


class Format(StrEnum):
    """How a file is written; `auto` goes by its first line."""

    AUTO = "auto"
    NDJSON = "ndjson"
    CSV = "csv"
    LINES = "lines"


@dataclass(frozen=True, slots=True)
class Line:
    """A good line."""

    number: int
    item: str
    counter: str
    count: int


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no like, and why."""

    number: int
    reason: str


Parse = Callable[[str], tuple[str, str, int]]


def read_lines(file: BinaryIO, format_: Format, counter: str) -> Iterator[Line | BadLine]:
    """Every line of `file` that is not empty; `counter` is for those that name none.

    Raises InvalidInput for CSV with another header than it should have.
    """
    parse: Parse | None = None
    for number, raw in _numbered(file):
        try:
            text = _decode(raw)
            if parse is None:
                kind = _guess(text) if format_ is Format.AUTO else format_
                parse = _parser(kind, text, counter)
                if kind is Format.CSV:
                    continue
            yield Line(number, *parse(text))
        except BadHeader:
            raise
        except InvalidInput as error:
            yield BadLine(number, str(error))


class BadHeader(InvalidInput):
    """The first line of a CSV file does not name its columns."""


def _numbered(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines without their ends, numbered from 1; one that is too long is cut, but too long still."""
    number = 0
    while raw := file.readline(LONGEST_LINE + 2):
        number += 1
        line, end = raw, raw[-1:]
        while end != b"\n" and (rest := file.readline(LONGEST_LINE)):
            end = rest[-1:]
        line = line.removeprefix(BOM) if number == 1 else line
        if line := line.removesuffix(b"\n").removesuffix(b"\r"):
            yield number, line


def _decode(raw: bytes) -> str:
    if len(raw) > LONGEST_LINE:
        raise InvalidInput(f"longer than {LONGEST_LINE} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"not UTF-8: byte {error.start + 1} is {raw[error.start]:#04x}") from None


def _guess(first: str) -> Format:
    """A JSON object with a field, a CSV header with a comma; else an item, such as `{}`."""
    if re.match(r'\s*\{\s*"', first):
        return Format.NDJSON
    if any({"item", "count"} <= {name.strip(' "').lower() for name in first.split(mark)} for mark in ",;\t"):
        return Format.CSV  # or what was meant to be: its header is refused then, not counted
    names = [name.strip('"') for name in first.split(",")]
    return Format.CSV if len(names) > 1 and (names[0] == "item" or FIELDS.issuperset(names)) else Format.LINES


def _parser(kind: Format, first: str, counter: str) -> Parse:
    if kind is Format.NDJSON:
        return lambda text: _from_json(text, counter)
    if kind is Format.CSV:
        columns = _csv_header(first)
        return lambda text: _from_csv(text, columns, counter)
    return lambda text: (check_item(text), counter, 1)


def _from_json(text: str, counter: str) -> tuple[str, str, int]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"not JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError):
        raise InvalidInput("not JSON: a number too long, or nested too deeply") from None
    if not isinstance(value, dict) or "item" not in value:
        raise InvalidInput('not a JSON object with an "item"')
    if unknown := value.keys() - FIELDS:
        raise InvalidInput(f"unknown field {shorten(min(unknown))!a}; allowed: item, count, counter")
    return check_item(value["item"]), check_counter(value.get("counter", counter)), check_count(value.get("count", 1))


def _csv_header(first: str) -> list[str]:
    columns = _csv_fields(first)
    if "item" not in columns or not FIELDS.issuperset(columns) or len(set(columns)) < len(columns):
        raise BadHeader(f"CSV header {shorten(first)!a}; it has to be item,count or item,count,counter")
    return columns


def _from_csv(text: str, columns: list[str], counter: str) -> tuple[str, str, int]:
    fields = _csv_fields(text)
    if len(fields) != len(columns):
        raise InvalidInput(f"{len(fields)} fields instead of {len(columns)}; an item with a comma needs quotes")
    named = dict(zip(columns, fields, strict=True))
    count = parse_count(named.get("count", "1"))
    return check_item(named["item"]), check_counter(named.get("counter") or counter), count


def _csv_fields(text: str) -> list[str]:
    try:
        return next(csv.reader([text], strict=True))
    except (csv.Error, StopIteration) as error:
        raise InvalidInput(f"not CSV: {error}") from None
