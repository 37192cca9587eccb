"""What really happened: the like counts of trending YouTube videos, day by day, and their changes."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from importlib.resources import files
from typing import NamedTuple

FILE = files("cli") / "data" / "youtube-trending-likes-us-2017.csv"


class Count(NamedTuple):
    """How many likes a video had on a day."""

    date: str
    video: str
    likes: int


class Change(NamedTuple):
    """How many more likes than when it was seen last; fewer, if negative."""

    date: str
    video: str
    likes: int


def read_counts() -> list[Count]:
    """All counts, in the order of the days."""
    rows = csv.DictReader(FILE.read_text(encoding="utf-8").splitlines())
    return [Count(row["date"], row["video_id"], int(row["likes"])) for row in rows]


def changes_between(counts: Iterable[Count]) -> list[Change]:
    """What leads from each count of a video to its next, beginning at 0; where nothing changed, nothing."""
    seen: dict[str, int] = {}
    changes = []
    for date, video, likes in counts:
        changes.append(Change(date, video, likes - seen.get(video, 0)))
        seen[video] = likes
    return [change for change in changes if change.likes]


def last_counts(counts: Iterable[Count]) -> dict[str, int]:
    """The last count of each video."""
    return {count.video: count.likes for count in counts}
