"""What there is to see while the demo runs, and where it is no terminal: a line a second."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, Self

from rich.console import Console

from cli.demo.gauge import Figures

TITLE = "likes: into Redis at once, into SQL by a worker, each exactly once"


@dataclass
class View:
    """One moment of the demo. `expected`: likes at its end; `done`: how much of it, 0 to 1; `worker`: how that is."""

    expected: int
    seconds: float = 0.0
    date: str = ""
    done: float = 0.0
    worker: str = ""
    flushes: int = 0
    figures: Figures = field(default_factory=Figures)


class Screen(Protocol):
    """Shows views and news."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, view: View) -> None:
        """Show how it is now."""
        ...

    def tell(self, seconds: float, news: str) -> None:
        """Say what has happened."""
        ...


class Output(Console):
    """The console, which leaves a reader who has gone (`likes demo | head`) to the command line's own manners."""

    def on_broken_pipe(self) -> None:
        """Raise what was caught."""
        raise BrokenPipeError


def open_screen(console: Console) -> Screen:
    """The screen that fits."""
    if console.is_terminal and not console.is_dumb_terminal:
        from cli.demo.picture import Picture

        return Picture(console)
    return Lines(console)


class Lines:
    """A line a second, and one for each piece of news."""

    HEADING = (
        f"{'time':>6}  {'day':10}  {'posted':>10}  {'in database':>11}  {'in flight':>9}  {'pending':>10}  flushes"
    )

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 0.0

    def __enter__(self) -> Self:
        self._print(f"{TITLE}\n\n{self.HEADING}")
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, view: View) -> None:
        """Show how it is now, once a second."""
        if view.seconds >= self._next:
            self._next = view.seconds // 1 + 1
            at = view.figures
            numbers = f"{at.posted:10,}  {at.database:11,}  {at.in_flight:9,}  {at.pending:10,}  {view.flushes:7}"
            self._print(f"{view.seconds:4.1f} s  {view.date:10}  {numbers}")

    def tell(self, seconds: float, news: str) -> None:
        """Say what has happened."""
        self._print(f"{seconds:4.1f} s  {news}")

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, highlight=False, markup=False)
