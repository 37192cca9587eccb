"""What the demo says at the end: the most liked videos, the reconciliation, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from cli.demo.reckoning import Reckoning
from likes.sql.totals import Total

BAR_WIDTH = 44
DIFFERENCES_SHOWN = 10


def show_most_liked(console: Console, most_liked: Sequence[Total]) -> None:
    """The videos with the most likes, in a terminal with a bar each."""
    _print(console, "\n[b]The most liked videos, from the database[/]\n")
    block = "━" if console.is_terminal and not console.options.ascii_only else ""
    for number, total in enumerate(most_liked, 1):
        bar = block * round(BAR_WIDTH * total.total / most_liked[0].total)
        _print(console, f"  [dim]{number:2}[/]  {total.item:11}  {total.total:11,}", f"[green]{bar}[/]" if bar else "")


def show_reckoning(console: Console, reckoning: Reckoning, *, kills: int, flushes: int, applied: int) -> None:
    """Every figure that has to agree, and the videos whose counts do not."""
    _print(console, "\n[b]Reconciliation[/]\n")
    for label, number, note in (
        ("likes posted by the clients", reckoning.posted, ""),
        ("likes in the database", reckoning.database, f"in {flushes} flushes, {applied} batches"),
        ("likes by the source's last counts", reckoning.source, ""),
        ("likes left in Redis", reckoning.left, ""),
        ("videos with likes", reckoning.liked, f"of {reckoning.videos:,}"),
        ("videos that differ from the source", len(reckoning.differences), ""),
        ("kills in the middle of a flush", kills, ""),
        ("batches in flight at a kill", reckoning.caught, f"{reckoning.survived} counted exactly once"),
        ("incidents and dead letters", reckoning.incidents + reckoning.dead_letters, ""),
    ):
        _print(console, f"  {label:35}  {number:11,}", f"[dim]{note}[/]" if note else "")
    for one in reckoning.differences[:DIFFERENCES_SHOWN]:
        _print(console, f"  [red]{one.video} has {one.database:,} in the database, {one.source:,} by the source[/]")


def show_verdict(console: Console, reckoning: Reckoning, seconds: float) -> None:
    """Whether all is well; for when the stage is cleared."""
    if reckoning.is_exact:
        _print(console, f"\n[b green]Posted {reckoning.posted:,} = in the database {reckoning.database:,}.[/]")
        _print(console, f"Nothing lost, nothing counted twice. {seconds:.0f} s; servers and folder are gone.")
        if not reckoning.caught:
            _print(console, "No flush could be caught in the middle to kill its worker: --seconds 30 gives more time.")
    else:
        _print(console, "\n[b red]Something is not as it should be: see above.[/]")


def _print(console: Console, *columns: str) -> None:
    console.print("  ".join(filter(None, columns)), soft_wrap=True, highlight=False, emoji=False)
