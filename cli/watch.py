"""Showing something every second: in place on a terminal, a line each time elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cli.output import as_json, grid, line
from likes.errors import Unavailable

SECONDS = 1.0

Shown = Mapping[str, Any]


def watch(read: Callable[[], Shown], *, json: bool) -> None:
    """Show what `read` returns until Ctrl-C; a server that is away is waited for."""
    with _screen(json=json) as show:
        while True:
            try:
                show(read())
            except Unavailable as error:
                show({"trouble": str(error)})
            time.sleep(SECONDS)


@contextmanager
def _screen(*, json: bool) -> Iterator[Callable[[Shown], None]]:
    if json:
        yield as_json
    elif not sys.stdout.isatty():
        yield lambda shown: line("; ".join(f"{name}: {value}" for name, value in shown.items()))
    else:
        from rich.live import Live

        with Live(auto_refresh=False) as live:
            yield lambda shown: live.update(grid(shown), refresh=True)
