"""The demo where there is no terminal: a line a second."""

from __future__ import annotations

from typing import Self

from rich.console import Console

from cli.demo.view import TITLE, View


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
