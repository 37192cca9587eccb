"""The worker's `/metrics`, where a port for it is set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from likes.connect import Places
from likes.metrics.standing import Standing
from worker import events
from worker.figures import Figures

if TYPE_CHECKING:
    from likes.config.settings import Settings


@contextmanager
def serving_metrics(settings: Settings, figures: Figures) -> Iterator[None]:
    """Serve what `figures` count and how things stand, until the block ends. Raises SettingsError."""
    if not settings.metrics_port:
        yield
        return
    from likes.metrics.exposition import Exposition, exposition
    from likes.metrics.looking import Look
    from likes.metrics.server import serving

    look = Look(Places.from_settings(settings), settings.prefix, settings.shards, settings.interval)
    standing = Standing(look)

    def scrape(accept: str) -> Exposition:
        return exposition([figures.tally.snapshot(), standing.wait()], accept)

    with serving(settings.http_host, settings.metrics_port, scrape) as port:
        host = f"[{settings.http_host}]" if ":" in settings.http_host else settings.http_host
        events.metrics(f"http://{host}:{port}/metrics")
        yield
