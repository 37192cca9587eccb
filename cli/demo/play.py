"""The demo from start to end."""

from __future__ import annotations

import time

from cli.demo.gauge import Gauge
from cli.demo.page import Page
from cli.demo.reckoning import reckon
from cli.demo.report import show_most_liked, show_reckoning, show_verdict
from cli.demo.scene import Scene
from cli.demo.screen import Output, open_screen
from cli.demo.source import last_counts, read_counts
from cli.demo.stage import open_stage
from likes.items import DEFAULT_COUNTER
from likes.sql.totals import largest_totals

TOP = 10


def play(seconds: float, *, serve: bool = False) -> bool:
    """Play the demo, the replay taking `seconds`; True if every count is exact. Raises LikesError.

    serve: then keep its page up until Ctrl-C.
    """
    console = Output()
    began = time.monotonic()
    counts = read_counts()
    with open_stage() as stage, Gauge(stage.places) as gauge:
        page = Page(stage)
        console.print(page.words, soft_wrap=True, highlight=False, markup=False)
        with open_screen(console) as screen:
            scene = Scene(stage, gauge, screen, counts, seconds)
            scene.play()
        figures = gauge.figures()
        reckoning = reckon(
            gauge.engine, last_counts(counts), posted=scene.clients.likes, figures=figures, caught=scene.caught
        )
        show_most_liked(console, largest_totals(gauge.engine, DEFAULT_COUNTER, TOP))
        show_reckoning(console, reckoning, kills=scene.kills, flushes=scene.worker.flushes, applied=figures.batches)
        took = time.monotonic() - began
        if serve:
            console.print(f"\n{page.words}; Ctrl-C ends it", soft_wrap=True, highlight=False, markup=False)
            page.stay()
    show_verdict(console, reckoning, took)
    return reckoning.is_exact
