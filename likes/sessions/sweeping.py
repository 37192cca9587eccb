"""The worker's side of sessions: what is due in each shard, ending it, and dropping what SQL has.

Only for the database that the shards belong to. Those beyond the counters' shards are claimed here, once a flush has
made sure of the first ones.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from likes.buffer.buffer import Buffer
from likes.buffer.calls import Call, command
from likes.errors import LikesError, RedisRefused, ShardMoving
from likes.sessions import scripts
from likes.sessions.keys import session_keys
from likes.sessions.session import Due, Ended, Life
from likes.sessions.token import SESSION_SHARDS, Place


class Sweeping:
    """Sees to the sessions in the Redis of `buffer` that are over.

    error: why Redis refused something, if it did; the other sessions are seen to all the same. Those of a shard that is
    being moved have to wait.
    """

    def __init__(self, buffer: Buffer, life: Life) -> None:
        self.life = life
        self.error: RedisRefused | None = None
        self._buffer = buffer
        self._keys = partial(session_keys, buffer.namespace)

    @property
    def database(self) -> str:
        """The database that a flush claimed the shards for; "" before that."""
        return self._buffer.ownership.database

    def begin(self, most: int) -> dict[int, Due]:
        """What is due in each shard, `most` sessions of each; nothing where Redis was emptied, as the next flush is to
        notice. Raises WrongDatabase.
        """
        ownership, shards = self._buffer.ownership, range(SESSION_SHARDS)
        owners = ownership.read(shards)
        ownership.require_none_of_another(owners, self.database)
        if not all(owners[shard] for shard in ownership.claimed & owners.keys()):
            return {}
        ownership.claim([shard for shard, owner in owners.items() if not owner], self.database)
        calls = [scripts.sweep(self._keys(shard), self.database, most, self.life) for shard in owners]
        return {shard: due for shard, due in zip(owners, self._ask(calls), strict=True) if due}

    def end_expired(self, sessions: Collection[tuple[Place, str]]) -> list[Ended]:
        """What waits of those whose time is over, or that ended before; the others live, or are gone."""
        return self._end(sessions, expired=True)

    def end_again(self, sessions: Sequence[tuple[Place, str]]) -> list[Ended]:
        """End those of them that are there: they had ended, and Redis has forgotten that."""
        there = self._there([place for place, _ in sessions])
        return self._end([session for session in sessions if session[0] in there], expired=False)

    def went_on(self, ended: Sequence[Ended]) -> list[Ended]:
        """The same, without the fields of those that went on as another session."""
        there = self._there([each.moved_to for each in ended if each.moved_to])
        return [each._replace(fields={}) if each.moved_to in there else each for each in ended]

    def drop(self, ended: Collection[Ended]) -> int:
        """Drop those that SQL has; how many there were."""
        drops = [scripts.drop(self._keys(each.place.shard), each, self.database) for each in ended]
        return sum(bool(dropped) for dropped in self._ask(drops))

    def _there(self, places: Sequence[Place]) -> set[Place]:
        looks = [
            command("EXISTS", self._keys(place.shard).session(place.digest), shard=place.shard) for place in places
        ]
        return {place for place, is_there in zip(places, self._ask(looks), strict=True) if is_there}

    def _end(self, sessions: Collection[tuple[Place, str]], *, expired: bool) -> list[Ended]:
        ends = [
            scripts.end(self._keys(place.shard), place, user, self.life, expired=expired, database=self.database)
            for place, user in sessions
        ]
        return [ended for ended in self._ask(ends) if ended]

    def _ask(self, calls: Sequence[Call[Any]]) -> list[Any]:
        replies = self._buffer.link.send(calls) if calls else []
        for i, reply in enumerate(replies):
            if isinstance(reply, RedisRefused):
                self.error, replies[i] = self.error or reply, None
            elif isinstance(reply, ShardMoving):
                replies[i] = None
            elif isinstance(reply, LikesError):
                raise reply
        return replies
