"""The three ways a file of likes is written, and how a line of each is read."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from enum import StrEnum

from cli.arguments import parse_count
from likes.errors import InvalidInput
from likes.items import check_count, check_counter, check_item, shorten

FIELDS = {"item", "count", "counter"}
HEADERS = "item,count or item,count,counter"


class Format(StrEnum):
    """How a file is written; `auto` goes by its first line."""

    AUTO = "auto"
    NDJSON = "ndjson"
    CSV = "csv"
    LINES = "lines"


class Extra(StrEnum):
    """What to do about fields that are not of a like."""

    REFUSE = "refuse"
    IGNORE = "ignore"


class BadHeader(InvalidInput):
    """The first line of a file does not say how the others are to be read."""


# A line's item, counter and count; raises InvalidInput.
Parse = Callable[[str], tuple[str, str, int]]


def guess(first: str) -> Format:
    """A JSON object with a field, a CSV header; else an item, such as `{}`. Raises BadHeader where that is doubtful."""
    if re.match(r'\s*\{\s*"', first):
        return Format.NDJSON
    if re.fullmatch(r"\s*\[.*|\s*\{\s*", first):
        raise _doubtful(first, "looks like JSON over several lines; write one object a line")
    if any({"item", "count"} <= {name.strip(' "').lower() for name in first.split(mark)} for mark in ",;\t"):
        return Format.CSV  # or what was meant to be: its header is refused then, not counted
    names = [name.strip('"') for name in first.split(",")]
    if len(names) > 1 and (names[0] == "item" or FIELDS.issuperset(names)):
        return Format.CSV
    if len(names) > 1 or re.search(r"[;\t]\s*[+-]?\d+\s*$", first):
        raise _doubtful(first, f"looks like CSV without its header, which is {HEADERS}; put it in front")
    return Format.LINES


def _doubtful(first: str, looks: str) -> BadHeader:
    return BadHeader(f"the first line, {shorten(first)!a}, {looks}; if each line is one item: --format lines")


def parser(kind: Format, first: str, counter: str, extra: Extra) -> Parse:
    """What reads the lines of a file whose `first` line is given; `counter` is for those that name none."""
    if kind is Format.NDJSON:
        return lambda text: _from_json(text, counter, extra)
    if kind is Format.CSV:
        columns = _csv_header(first, extra)
        return lambda text: _from_csv(text, columns, counter)
    return lambda text: (check_item(text), counter, 1)


def _from_json(text: str, counter: str, extra: Extra) -> tuple[str, str, int]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"not JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError):
        raise InvalidInput("not JSON: a number too long, or nested too deeply") from None
    if not isinstance(value, dict) or "item" not in value:
        raise InvalidInput('not a JSON object with an "item"')
    if extra is Extra.REFUSE and (unknown := value.keys() - FIELDS):
        raise InvalidInput(
            f"unknown field {shorten(min(unknown))!a}; allowed: item, count, counter (or: --extra ignore)"
        )
    return check_item(value["item"]), check_counter(value.get("counter", counter)), check_count(value.get("count", 1))


def _csv_header(first: str, extra: Extra) -> list[str]:
    columns = _csv_fields(first)
    ours = [name for name in columns if name in FIELDS]
    others = len(columns) - len(ours)
    if "item" not in ours or len(set(ours)) < len(ours) or (others and extra is Extra.REFUSE):
        hint = " (or: --extra ignore)" if "item" in ours and others else ""
        raise BadHeader(f"CSV header {shorten(first)!a}; it has to be {HEADERS}{hint}")
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
