"""Showing something every second: in place on a terminal, a line each time elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cli.output import as_json, grid, is_screen, line

SECONDS = 1.0

Shown = Mapping[str, Any]


def watch(read: Callable[[], Shown], *, json: bool) -> None:
    """Show what `read` returns until Ctrl-C."""
    with _screen(json=json) as show:
        while True:
            show(read())
            time.sleep(SECONDS)


@contextmanager
def _screen(*, json: bool) -> Iterator[Callable[[Shown], None]]:
    if json:
        yield as_json
    elif not is_screen():
        yield lambda shown: line("; ".join(f"{name}: {value}" for name, value in shown.items()))
    else:
        from rich.live import Live

        with Live(auto_refresh=False) as live:
            yield lambda shown: live.update(grid(shown), refresh=True)
