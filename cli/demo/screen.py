"""Where the demo is shown: in a terminal as a picture, elsewhere as lines."""

from __future__ import annotations

from rich.console import Console

from cli.demo.lines import Lines
from cli.demo.picture import Picture
from cli.demo.view import Screen


class Output(Console):
    """The console, which leaves a reader who has gone (`likes demo | head`) to the command line's own manners."""

    def on_broken_pipe(self) -> None:
        """Raise what was caught."""
        raise BrokenPipeError


def open_screen(console: Console) -> Screen:
    """The screen that fits."""
    if console.is_terminal and not console.is_dumb_terminal:
        return Picture(console)
    return Lines(console)
