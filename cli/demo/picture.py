"""The demo in a terminal: one panel, drawn again and again."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cli.demo.view import TITLE, View

NEWS_SHOWN = 7
WIDTH = 80
BAR_WIDTH = 42
PLACES = ("in the database", "in flight", "pending in Redis")
STYLES = ("green", "red", "yellow", "bar.back")  # the last one: what is still to come
BLOCKS, ASCII_BLOCKS = "█▓▒░", "#!+."


class Picture:
    """How far the replay is, how many likes are where, how the worker is, and the last news."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)
        self._blocks = ASCII_BLOCKS if console.options.ascii_only else BLOCKS
        self._width = min(WIDTH, console.width)
        self._news: deque[tuple[float, str]] = deque(maxlen=NEWS_SHOWN)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, view: View) -> None:
        """Draw it."""
        parts = (self._replay(view), self._likes(view), self._worker(view), self._told())
        picture = Group(*(Padding(part, (1, 1, 0, 1)) for part in parts))
        self._live.update(Panel(picture, title=TITLE, width=self._width, border_style="dim"), refresh=True)

    def tell(self, seconds: float, news: str) -> None:
        """Add it to the news."""
        self._news.append((seconds, news))

    def _replay(self, view: View) -> RenderableType:
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(width=30)
        table.add_column(ratio=1)
        table.add_row(
            f"YouTube likes of {view.date}", ProgressBar(1.0, view.done, complete_style="cyan", finished_style="cyan")
        )
        return table

    def _likes(self, view: View) -> RenderableType:
        at = view.figures
        where = (at.database, at.in_flight, at.pending)
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(width=18)
        table.add_column(width=10, justify="right")
        table.add_column(ratio=1)
        table.add_row(Text("posted", "bold"), Text(f"{at.posted:,}", "bold"), self._bar(where, view.expected))
        for place, likes, block, style in zip(PLACES, where, self._blocks, STYLES, strict=False):
            table.add_row(Text(f"{block} {place}", style), Text(f"{likes:,}", style if likes else "dim"))
        return table

    def _bar(self, where: Sequence[int], expected: int) -> Text:
        """Where the likes posted are, and what is still to come."""
        bar = Text()
        for likes, block, style in zip(where, self._blocks, STYLES, strict=False):
            cells = max(round(BAR_WIDTH * likes / expected), likes > 0)
            bar.append(block * min(cells, BAR_WIDTH - len(bar)), style)
        return bar.append(self._blocks[-1] * (BAR_WIDTH - len(bar)), STYLES[-1])

    def _worker(self, view: View) -> RenderableType:
        table = Table.grid(expand=True)
        table.add_column()
        table.add_column(justify="right")
        table.add_row(f"worker {view.worker}", f"{view.flushes} flushes, {view.figures.batches} batches")
        return table

    def _told(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        table.add_column(width=6, justify="right", style="dim")
        table.add_column()
        for seconds, news in self._news:
            said = Text(news)
            said.highlight_words(["SIGKILL"], "bold red")
            table.add_row(f"{seconds:.1f} s", said)
        return table
