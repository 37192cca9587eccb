"""What the benchmark says: its progress on stderr, the table on stdout, everything in a file."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from tests.bench.figure import Figure

HEAD = ("what", "measured", "baseline", "ratio (rounds)", "to reach", "reached")
_began = time.monotonic()


def progress(words: str) -> None:
    """A line on stderr, with the seconds since the start."""
    sys.stderr.write(f"{time.monotonic() - _began:6.1f} s  {words}\n")


def table(figures: Sequence[Figure], machine: Mapping[str, object]) -> str:
    """The figures a row each, then how they were measured, and on what."""
    rows = [HEAD, *map(_row, figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    notes = [f"{figure.what}: {figure.note}" for figure in figures if figure.note]
    return "\n".join([*lines, "", *notes, "", ", ".join(f"{name} {value}" for name, value in machine.items())])


def write_json(path: Path, figures: Sequence[Figure], machine: Mapping[str, object]) -> None:
    """The same, every round in it."""
    content = {"machine": machine, "figures": [figure.as_json() for figure in figures]}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _row(figure: Figure) -> tuple[str, ...]:
    unit = "" if figure.ratios else f" {figure.unit}"
    return (
        figure.what,
        _number(median(figure.measured)) + f" {figure.unit}" + ("" if figure.ratios else _spread(figure.measured)),
        f"{_number(median(figure.baseline))} {figure.unit}" if figure.baseline else "",
        _number(figure.value) + _spread(figure.ratios) if figure.ratios else "",
        f"{'≤' if figure.limit.at_most else '≥'} {figure.limit.number:g}{unit}",
        "yes" if figure.is_reached else "NO",
    )


def _spread(values: Sequence[float]) -> str:
    return f" ({_number(min(values))}–{_number(max(values))})" if len(values) > 1 else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
