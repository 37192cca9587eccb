"""The feed of the page: one reader a process, in a thread, however many pages are open."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from likes.api.feed import Feed
from likes.api.overview_sections import sections_of
from likes.async_counter import AsyncLikeCounter
from likes.connect import Places
from likes.errors import LikesError
from likes.reports.overview import Overview, OverviewReader
from likes.sql.ledger import Ledger

if TYPE_CHECKING:
    from likes.config.settings import Settings

TICK_SECONDS = 1.0
MOST_PAGES = 100
REDIS_SECONDS, DATABASE_SECONDS = 2.0, 5.0  # people wait: a server that takes longer counts as away
SECTIONS = ("now", "servers", "rate", "cache", "workers", "flushes", "top", "incidents", "dead_letters", "problems")


class OverviewFeed(Feed[str, Any]):
    """What the page shows, section by section; each value is fit for JSON. Opens its connections when first watched."""

    def __init__(self, settings: Settings, likes: AsyncLikeCounter) -> None:
        super().__init__(self._sections, tick=TICK_SECONDS, most_streams=MOST_PAGES, most_keys=len(SECTIONS))
        self._settings = settings
        self._likes = likes
        self._open = ExitStack()
        self._reader: OverviewReader | None = None

    async def close(self) -> None:
        """End, wait for the last read, and close the connections."""
        await super().close()
        await asyncio.to_thread(self._open.close)

    async def _sections(self, wanted: Collection[str]) -> Mapping[str, Any]:
        try:
            overview = await asyncio.to_thread(self._read_overview)
        except LikesError as error:
            return {**dict.fromkeys(wanted), "servers": {"failed": str(error), "redis": None, "database": None}}
        sections = sections_of(overview)
        await self._add_live(sections["top"])
        return sections

    def _read_overview(self) -> Overview:
        if self._reader is None:
            self._reader = self._open_reader()
        return self._reader.read()

    def _open_reader(self) -> OverviewReader:
        settings = self._settings
        places = Places.from_settings(settings)
        places = replace(
            places,
            redis_timeout=min(places.redis_timeout, REDIS_SECONDS),
            database_timeout=min(places.database_timeout, DATABASE_SECONDS),
        )
        engine = places.open_database(pool_size=1)
        self._open.callback(places.close_database, engine)
        buffer = self._open.enter_context(places.open_buffer(settings.prefix))
        return OverviewReader(buffer, Ledger(engine, settings.prefix, worker=""), settings.shards)

    async def _add_live(self, top: list[dict[str, Any]] | None) -> None:
        """What is not in the database yet of the most liked; nothing where that cannot be read now."""
        if not top:
            return
        try:
            live = await self._likes.live([row["item"] for row in top], timeout=REDIS_SECONDS)
        except LikesError:
            return
        for row in top:
            row["database"], row["in_flight"], row["pending"] = live[row["item"]][1:4]
