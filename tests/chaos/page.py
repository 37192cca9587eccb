"""The report as one page that needs nothing else: sums, plots, what each fault came to, and every round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from tests.chaos.plots import bars, dots

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100%; font-size: 13px } td, th { padding: 2px 8px; text-align: left }
td { overflow-wrap: anywhere }
td.number, th.number { text-align: right } tr:nth-child(even) { background: #f5f5f5 } .wrong { color: #b00020 }
figure { margin: 2rem 0 } figcaption { font-weight: 600 } svg { width: 100%; height: auto; font-size: 12px }
rect, circle { fill: #2b6cb0; fill-opacity: .75 } line { stroke: #ccc } svg text { fill: #444 }
"""
_COLUMNS = ("accepted", "counted", "lost", "set_aside", "unknown", "doubled", "recovery_seconds")


def page_of(data: Mapping[str, Any]) -> str:
    """The page of what is in report.json."""
    rounds = data["rounds"]
    return "\n".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Fault campaign</title>',
            f"<style>{_STYLE}</style>",
            f"<h1>Fault campaign, seed {escape(data['seed'])}</h1>",
            f"<p>{_summary(data)}</p>",
            *_plots(rounds),
            "<h2>By fault</h2>",
            _table(["fault", "rounds", *_COLUMNS], _by_fault(rounds)),
            "<h2>Rounds</h2>",
            _table(["round", "stand", "faults", *_COLUMNS, "incidents", "wrong"], map(_round, rounds)),
            "</html>\n",
        ]
    )


def _summary(data: Mapping[str, Any]) -> str:
    sums, rounds = data["sums"], len(data["rounds"])
    failed = f"{len(data['failed'])} failed" if data["failed"] else "none failed"
    where = "" if data["failed"] else ", each inside the window of an incident"
    versions = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    return escape(
        f"{rounds} rounds in {data['minutes']} minutes from {data['began']}, {failed}. {sums['accepted']:,} likes"
        f" acknowledged, {sums['counted']:,} counted; {sums['lost']:,} lost{where};"
        f" {sums['set_aside']:,} in dead letters, some of them counted before; {sums['unknown']:,} of which nobody"
        f" could tell; {sums['doubled']:,} counted twice. {versions}."
    )


def _plots(rounds: Sequence[Mapping[str, Any]]) -> list[str]:
    notes = [f"round {each['round']}, {', '.join(each['faults'])}" for each in rounds]
    recovery: dict[str, list[float]] = {}
    for each in rounds:
        if each["recovery_seconds"] is not None:
            for fault in each["faults"]:
                recovery.setdefault(fault, []).append(each["recovery_seconds"])
    return [
        bars("Likes acknowledged, over rounds", [each["accepted"] for each in rounds], notes),
        bars("Likes lost inside windows of incidents, over rounds", [each["lost"] for each in rounds], notes),
        bars("Likes of which nobody could tell, over rounds", [each["unknown"] for each in rounds], notes),
        dots("Seconds until all went on again, by fault", dict(sorted(recovery.items()))),
    ]


def _by_fault(rounds: Sequence[Mapping[str, Any]]) -> Iterable[list[Any]]:
    for fault in sorted({fault for each in rounds for fault in each["faults"]}):
        mine = [each for each in rounds if fault in each["faults"]]
        sums = [sum(each[column] for each in mine) for column in _COLUMNS[:-1]]
        recovered = [each["recovery_seconds"] for each in mine if each["recovery_seconds"] is not None]
        yield [fault, len(mine), *sums, max(recovered, default=None)]


def _round(each: Mapping[str, Any]) -> list[Any]:
    kinds = {kind: each["incidents"].count(kind) for kind in each["incidents"]}
    told = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    return [
        each["round"], each["stand"], ", ".join(each["faults"]), *(each[column] for column in _COLUMNS),
        told, "; ".join(each["wrong"]),
    ]  # fmt: skip


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    head = "".join(_cell("th", column.replace("_", " "), is_number=column in _COLUMNS) for column in columns)
    body = "".join(f"<tr>{''.join(_cell('td', value) for value in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(tag: str, value: Any, *, is_number: bool = False) -> str:
    if isinstance(value, int | float):
        value, is_number = f"{value:,}", True
    kind = ' class="number"' if is_number else ""
    return f"<{tag}{kind}>{escape('' if value is None else value)}</{tag}>"
