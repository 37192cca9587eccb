"""The reckoning: every total in the database against the source's last count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from cli.demo.gauge import PREFIX, Figures, InFlight
from likes.items import DEFAULT_COUNTER
from likes.sql.history import deltas_counted
from likes.sql.reports import read_overview
from likes.sql.totals import all_totals

if TYPE_CHECKING:
    from sqlalchemy import Engine


class Difference(NamedTuple):
    """A video whose total is not the source's."""

    video: str
    source: int
    database: int


class Reckoning(NamedTuple):
    """What came of it all.

    source, posted, database: likes by the source's last counts, by the clients, and in the database.
    videos: how many the source knows; liked: how many of them have likes.
    left: likes still in Redis, by number whatever their sign.
    survived: batches in flight when the worker was killed, and counted once since; of `caught`.
    """

    source: int
    posted: int
    database: int
    videos: int
    liked: int
    differences: tuple[Difference, ...]
    left: int
    caught: int
    survived: int
    dead_letters: int
    incidents: int

    @property
    def is_exact(self) -> bool:
        """True if nothing was lost or counted twice, although the worker was killed in the middle of a flush, where one
        could be caught there.
        """
        return (
            self.source == self.posted == self.database
            and self.caught == self.survived
            and not (self.differences or self.left or self.dead_letters or self.incidents)
        )


def reckon(
    engine: Engine, source: Mapping[str, int], *, posted: int, figures: Figures, caught: Sequence[InFlight]
) -> Reckoning:
    """Compare the database with `source`, video -> last count."""
    found = {total.item: total.total for total in all_totals(engine, DEFAULT_COUNTER)}
    compared = [Difference(video, source.get(video, 0), found.get(video, 0)) for video in dict(source) | found]
    noted = read_overview(engine, PREFIX, most=0)
    return Reckoning(
        source=sum(source.values()),
        posted=posted,
        database=sum(found.values()),
        videos=len(source),
        liked=sum(likes > 0 for likes in source.values()),
        differences=tuple(one for one in compared if one.source != one.database),
        left=abs(figures.in_flight) + abs(figures.pending),
        caught=len(caught),
        survived=sum(deltas_counted(engine, PREFIX, one.batch.id) == [one.batch.delta] for one in caught),
        dead_letters=noted.dead_letters,
        incidents=noted.incidents,
    )
