"""The figures of this process of the API, shown to its kin, and put together for a scrape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

from likes.api import problems
from likes.api.problems import Problem
from likes.api.request_log import RequestLog
from likes.connect import Places
from likes.errors import LikesError
from likes.metrics.board import Board
from likes.metrics.exposition import Exposition, exposition
from likes.metrics.families import OF_THE_API
from likes.metrics.looking import Look
from likes.metrics.standing import WAIT_SECONDS, Standing
from likes.metrics.tally import Tally, added_up

if TYPE_CHECKING:
    from likes.config.settings import Settings

SHOWN_EVERY_SECONDS = 1.0


class Figures:
    """What this process counts (`tally`; `requests`), and how things stand with the servers."""

    def __init__(self, settings: Settings) -> None:
        self.tally = Tally(OF_THE_API)
        self.requests = RequestLog(self.tally, logged=settings.access_log == "on")
        self._look = Look(Places.from_settings(settings), settings.prefix, settings.shards, settings.interval)
        self._standing = Standing(self._look)
        self._board: Board | None = None

    @contextmanager
    def counting(self, entries: int = 1) -> Iterator[None]:
        """Count so many entries as accepted at the end of the block, or as refused when it raises."""
        try:
            yield
        except (LikesError, Problem) as error:
            self.refused(error if isinstance(error, Problem) else problems.of(error), entries)
            raise
        self.accepted(entries)

    def accepted(self, entries: int = 1) -> None:
        """Redis accepted so many entries."""
        self.tally.add("likes_accepted_total", by=entries)

    def refused(self, problem: Problem, entries: int = 1) -> None:
        """So many entries were not counted."""
        self.tally.add("likes_refused_total", problem.type, by=entries)

    async def scrape(self, accept: str) -> Exposition:
        """All figures, in the form that `accept` prefers; a server that is away holds it for `WAIT_SECONDS` at most."""
        with suppress(TimeoutError):
            look = asyncio.wrap_future(self._standing.look())
            await asyncio.wait_for(asyncio.shield(look), WAIT_SECONDS)
        counted = [self.tally.snapshot(), *(self._board.others() if self._board else ())]
        figures = [added_up(counted), self._standing.figures()]
        return await asyncio.to_thread(exposition, figures, accept)  # a hundred histograms take 10 ms

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Show this process's figures to its kin until the block ends, and leave them there."""
        self._board = Board.inherited()
        if self._board is None:
            yield
        else:
            self.tally.go_on_from(self._board.claim())
            showing = asyncio.create_task(self._show(self._board))
            try:
                yield
            finally:
                showing.cancel()
                self._board.show(self.tally.snapshot())
        self._look.close()

    async def _show(self, board: Board) -> None:
        while True:
            await asyncio.sleep(SHOWN_EVERY_SECONDS)
            board.show(self.tally.snapshot())
