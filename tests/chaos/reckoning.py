"""What has to be true after a round: every like counted once, or inside the window of an incident; else it is told.

Of each item the database may hold at least what was acknowledged, less what an incident's window exposed, and at most
that with what nobody knows of. What is set aside as dead letters is not lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from likes.items import encode_item, shard_of
from tests.chaos.journal import Post


@dataclass(frozen=True)
class Window:
    """Between which moments likes were accepted that an incident may have cost; of one shard, or None for all."""

    shard: int | None
    begin: float
    end: float

    @classmethod
    def of(cls, incident: Any) -> Window:
        """That of a row of likes_incidents."""
        begin: datetime | None = incident.exposed_from
        return cls(incident.shard, begin.timestamp() if begin else 0.0, incident.exposed_to.timestamp())

    def holds(self, began: float, ended: float, shard: int) -> bool:
        """True if a like of this shard may have been accepted in it, which was between these two moments."""
        return self.shard in (None, shard) and self.begin <= ended and began <= self.end


@dataclass
class Account:
    """Of one item: sums of deltas.

    exposed, unknown: amounts that may be lost, or that may count. What those may make of the total beside `accepted`:
    may_rise, may_fall; unknown_fall: of the latter, what nobody calls lost.
    """

    accepted: int = 0
    exposed: int = 0
    unknown: int = 0
    may_rise: int = 0
    may_fall: int = 0
    unknown_fall: int = 0

    def may_or_may_not_count(self, delta: int) -> None:
        """A delta that is not in `accepted`."""
        self.unknown += abs(delta)
        self.may_rise += max(delta, 0)
        self.may_fall += max(-delta, 0)
        self.unknown_fall += max(-delta, 0)

    def may_be_lost(self, delta: int) -> None:
        """A delta that is in `accepted`."""
        self.exposed += abs(delta)
        self.may_rise += max(-delta, 0)
        self.may_fall += max(delta, 0)


@dataclass
class Reckoned:
    """What a round came to: sums of likes, and in `wrong` what may not be."""

    accepted: int = 0
    counted: int = 0
    unknown: int = 0
    lost: int = 0
    set_aside: int = 0
    doubled: int = 0
    incidents: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


Readings = Callable[[float, float], Sequence[tuple[float, float]]]


def accounts_of(
    posts: Iterable[Post],
    windows: Sequence[Window],
    shards: int,
    readings: Readings = lambda began, ended: [(began, ended)],
) -> dict[str, Account]:
    """Item -> what may have become of its likes. readings: between which moments, by Redis's clock, a like was."""
    accounts: dict[str, Account] = {}
    for post in posts:
        unknown = post.deltas if post.done is None else post.unknown
        for item, delta in unknown.items():
            accounts.setdefault(item, Account()).may_or_may_not_count(delta)
        moments = readings(post.sent, post.done or 0.0) if post.accepted else ()
        for item, delta in post.accepted.items():
            account = accounts.setdefault(item, Account())
            account.accepted += delta
            shard = shard_of(encode_item(item), shards)
            if any(window.holds(*moment, shard) for window in windows for moment in moments):
                account.may_be_lost(delta)
    return accounts


def reckon(
    accounts: Mapping[str, Account], totals: Mapping[str, int], letters: Sequence[tuple[str, int]] = ()
) -> Reckoned:
    """Hold the accounts against what the database counted and what it set aside: items with a delta each."""
    found = Reckoned(counted=sum(totals.values()), set_aside=sum(delta for _, delta in letters))
    aside = {item: Account() for item, _ in letters}
    for item, delta in letters:
        aside[item].may_be_lost(delta)  # but some of it may have been counted before
    for item in sorted(accounts.keys() | totals.keys()):
        account, total = accounts.get(item, Account()), totals.get(item, 0)
        off = total - account.accepted
        found.accepted += account.accepted
        found.unknown += account.unknown
        kept = aside.get(item, Account())
        may_rise, may_fall = account.may_rise + kept.may_rise, account.may_fall + kept.may_fall
        if off > may_rise:
            found.doubled += off - may_rise
        elif off < 0:
            found.lost += max(-off - kept.may_fall - account.unknown_fall, 0)
        if not -may_fall <= off <= may_rise:
            found.wrong.append(f"{item}: {total} counted, {kept.exposed} set aside, {account}")
    return found
