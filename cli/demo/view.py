"""What there is to see while the demo runs, and what shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, Self

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
