"""Results on stdout: a table for a terminal, plain columns for a pipe, JSON where it is asked for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from cli.exits import Code, discard_output
from likes.errors import LikesError
from likes.moments import iso

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NARROW = 60  # columns of a terminal; below, what is shown needs another form

Row = Mapping[str, Any]


def line(text: str) -> None:
    """Print one line."""
    with _results():
        print(text)


def number_of(count: int, what: str) -> str:
    """`1 batch`, `2 batches`, `1,000 entries`."""
    plural = f"{what[:-1]}ies" if what.endswith("y") else f"{what}es" if what.endswith("ch") else f"{what}s"
    return f"{count:,} {what if count == 1 else plural}"


def as_json(value: object) -> None:
    """Print one JSON value."""
    with _results():
        print(_dumps(value))


def rows_as_json(rows: Iterable[Row]) -> None:
    """Print a JSON array, a line for each row, as the rows come."""
    with _results():
        print("[", end="")
        for number, row in enumerate(rows):
            print(",\n " if number else "", _dumps(row), sep="", end="")
        print("]")


def as_csv(columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Print CSV with a header, as the rows come."""
    import csv

    with _results():
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([shown(row[column]) for column in columns] for row in rows)


def as_table(columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Print columns with their headings, numbers to the right."""
    wanted = [[row[column] for column in columns] for row in rows]
    headings = [column.replace("_", " ") for column in columns]
    with _results():
        if sys.stdout.isatty():
            _rich_table(headings, wanted)
        else:
            _plain_table(headings, wanted)


def as_pairs(pairs: Row) -> None:
    """Print names with their values, a line for each."""
    width = max(map(len, pairs))
    with _results():
        if sys.stdout.isatty():
            _console().print(grid(pairs))
        else:
            for name, value in pairs.items():
                print(f"{name.ljust(width)}  {shown(value)}")


def is_screen() -> bool:
    """True if stdout is a terminal on which what was shown can be replaced."""
    return sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def grid(pairs: Row) -> Table:
    """Names with their values, for a terminal."""
    from rich.table import Column, Table
    from rich.text import Text

    grid = Table.grid("", Column(overflow="fold"), padding=(0, 3))
    for name, value in pairs.items():
        grid.add_row(Text(name, style="bold"), Text(shown(value)))
    return grid


def _rich_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    if (console := _console()).width < NARROW:  # columns of a few letters each are no table
        for row in rows:
            console.print(grid(dict(zip(headings, row, strict=True))), "")
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for heading, right in zip(headings, _numeric(headings, rows), strict=True):
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else shown(value) for value in row))
    console.print(table)


def _console() -> Console:
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False)  # an item may look like either


def _plain_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    lines = [list(headings), *([shown(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numeric = _numeric(headings, rows)
    for cells in lines:
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        ]
        print("  ".join(padded).rstrip())


def _numeric(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[bool]:
    return [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(headings))]


def shown(value: object) -> str:
    """A value as people read it."""
    if value is None:
        return ""
    return iso(value) if isinstance(value, datetime) else str(value)


def _dumps(value: object) -> str:
    utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
    return json.dumps(value, ensure_ascii=not utf8, default=_json)


def _json(value: object) -> str:
    return iso(value) if isinstance(value, datetime) else str(value)


@contextmanager
def _results() -> Iterator[None]:
    """Written to the end, so that a reader who has gone (`likes totals | head`) is noticed here, and no matter."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        raise typer.Exit(Code.PIPE_CLOSED) from None
    except OSError as error:
        discard_output()
        raise LikesError(f"the result cannot be written: {error.strerror}") from None
