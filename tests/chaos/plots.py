"""Plots as SVG, with nothing but text: bars over rounds, and dots in a row for each name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT = 900, 160, 60
ROW = 22
NAMES = 330


def bars(title: str, values: Sequence[float], notes: Sequence[str]) -> str:
    """A bar for each value, from the left; a note is shown where one points at it."""
    most = max([*values, 1])
    step = (WIDTH - LEFT) / max(len(values), 1)
    drawn = [
        f'<rect x="{LEFT + step * n:.1f}" y="{HEIGHT - HEIGHT * value / most:.1f}" width="{max(step * 0.8, 0.5):.1f}"'
        f' height="{HEIGHT * value / most:.1f}"><title>{escape(f"{value:g}: {note}")}</title></rect>'
        for n, (value, note) in enumerate(zip(values, notes, strict=True))
    ]
    scale = f'<text x="{LEFT - 6}" y="12" text-anchor="end">{most:,.0f}</text>'
    zero = f'<text x="{LEFT - 6}" y="{HEIGHT}" text-anchor="end">0</text>'
    line = f'<line x1="{LEFT}" x2="{WIDTH}" y1="{HEIGHT}" y2="{HEIGHT}"/>'
    return _figure(title, HEIGHT + 4, "".join([scale, zero, line, *drawn]))


def dots(title: str, rows: Mapping[str, Sequence[float]]) -> str:
    """A row of dots for each name, on one scale that begins at 0."""
    most = max([value for values in rows.values() for value in values] + [1.0])
    scale = (WIDTH - NAMES - 20) / most
    drawn = []
    for n, (name, values) in enumerate(rows.items()):
        y = ROW * n + 14
        drawn.append(f'<text x="{NAMES - 10}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        drawn.append(f'<line x1="{NAMES}" x2="{WIDTH}" y1="{y}" y2="{y}"/>')
        drawn += [
            f'<circle cx="{NAMES + value * scale:.1f}" cy="{y}" r="4"><title>{value:g} s</title></circle>'
            for value in values
        ]
    bottom = ROW * len(rows) + 16
    ends = (
        f'<text x="{NAMES}" y="{bottom}">0</text><text x="{WIDTH}" y="{bottom}" text-anchor="end">{most:.1f} s</text>'
    )
    return _figure(title, bottom + 6, "".join([*drawn, ends]))


def _figure(title: str, height: float, drawn: str) -> str:
    picture = f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">{drawn}</svg>'
    return f"<figure><figcaption>{escape(title)}</figcaption>{picture}</figure>"
