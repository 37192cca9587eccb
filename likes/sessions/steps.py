"""What requests do with sessions, as steps: for threads and for asyncio.

Every call but the hit of `touch` may be sent twice: a script that finds done what it was to do answers as it did.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any, NamedTuple

from likes.buffer.calls import Call, command
from likes.deadline import Deadline
from likes.errors import InvalidInput, LikesError, RedisUnavailable
from likes.posting.steps import Send, Steps
from likes.sessions import scripts
from likes.sessions.fields import Fields
from likes.sessions.keys import session_keys
from likes.sessions.session import Begun, Ended, Life, Session
from likes.sessions.token import Fresh, Place, draw, shard_for

CHUNK = 100  # sessions of a user that are read or ended together
LEAST_GAIN_SECONDS = 0.002  # Redis counts in milliseconds
LOGGING_IN_SECONDS = 60.0  # a sweep waits so long for a log-in to say whether the session goes on


class Rotated(NamedTuple):
    """A session's new token, how it stands, and what is over with the token before."""

    token: str
    session: Session
    ended: Ended


class Sessions:
    """The sessions of one namespace. timeout: seconds that a call may take."""

    def __init__(self, namespace: str, life: Life, timeout: float) -> None:
        self.life = life
        self._timeout = timeout
        self._keys = partial(session_keys, namespace)

    def begin(self, begun: Begun) -> Steps[tuple[str, Session]]:
        """Begin a session; its token, which is nowhere else, and how it stands."""
        fresh = draw(shard_for(begun.user))
        return fresh.token, (yield from self._begin(fresh, begun, self._deadline()))

    def touch(self, place: Place) -> Steps[Session | None]:
        """A request came with its token: the session, which lives on, or None if it is over."""
        deadline, keys = self._deadline(), self._keys(place.shard)
        touches = [scripts.touch(keys, place, self.life, hit=hit) for hit in (True, False)]
        (session,) = yield from _ask(touches[:1], deadline, again=touches[1:])
        return (yield from self._live_on(session, deadline))

    def change(self, place: Place, fields: Fields, removed: Collection[str]) -> Steps[Session | None]:
        """Set some of its fields and remove others; None if it is over. Raises InvalidInput for too much in it."""
        deadline = self._deadline()
        changed = scripts.change(self._keys(place.shard), place, fields, removed, self.life)
        (session,) = yield from _ask([changed], deadline)
        if isinstance(session, InvalidInput):
            raise session
        return (yield from self._live_on(session, deadline))

    def end(self, place: Place) -> Steps[list[Ended] | None]:
        """End a session, now and for good; what waits to be in SQL of it, or None if it was over."""
        deadline = self._deadline()
        session = yield from self._look(place, deadline)
        return session and (yield from self._end([(place, session.user)], deadline))

    def rotate(self, place: Place) -> Steps[Rotated | None]:
        """Give it another token; None if it is over. The one before leads nowhere any more."""
        deadline = self._deadline()
        session = yield from self._look(place, deadline)
        if session is None:
            return None
        fresh = draw(place.shard)
        keys = self._keys(place.shard)
        (rotated,) = yield from _ask([scripts.rotate(keys, place, fresh.place, session.user, self.life)], deadline)
        return rotated and Rotated(fresh.token, *rotated)

    def log_in(self, place: Place, user: str) -> Steps[Rotated | None]:
        """Let it go on as a session of `user`, under another token, in that user's shard; None if it is over.

        The old one ends first, so that no change to it is lost on the way. Who dies before the new one has begun leaves
        what is to be kept to the sweep, which looks whether it went on.
        """
        deadline = self._deadline()
        session = yield from self._look(place, deadline)
        if session is None:
            return None
        fresh = draw(shard_for(user))
        seals = scripts.end(
            self._keys(place.shard),
            place,
            session.user,
            self.life,
            moved_to=fresh.place,
            due_in=LOGGING_IN_SECONDS,
        )
        (ended,) = yield from _ask([seals], deadline)
        if ended is None or ended.moved_to != fresh.place:  # it ended meanwhile, or another log-in was faster
            return None
        begun = Begun(user, ended.fields, session.keep, ended.hits + 1)
        session = yield from self._begin(fresh, begun, deadline)
        return Rotated(fresh.token, session, ended._replace(fields={}, moved_to=None))

    def of_user(self, user: str) -> Steps[list[Session]]:
        """The sessions of a user, the newest first."""
        deadline, found = self._deadline(), list[Session]()
        shard = shard_for(user)
        keys = self._keys(shard)
        (digests,) = yield from _ask([command("ZRANGE", keys.index(user), 0, -1, shard=shard)], deadline)
        places = [Place(shard, digest.decode()) for digest in digests]
        for some in _chunks(places):
            looks = [scripts.touch(keys, place, self.life, hit=False) for place in some]
            found += [session for session in (yield from _ask(looks, deadline)) if session]
        return sorted(found, key=lambda session: session.created_at, reverse=True)

    def revoke(self, user: str) -> Steps[list[Ended]]:
        """End the sessions of a user, a hundred at most; what waits of them. None is left once nothing does."""
        deadline, shard = self._deadline(), shard_for(user)
        reads = command("ZRANGE", self._keys(shard).index(user), 0, CHUNK - 1, shard=shard)
        while digests := (yield from _ask([reads], deadline))[0]:
            some = [(Place(shard, digest.decode()), user) for digest in digests]
            if ended := (yield from self._end(some, deadline)):
                return ended
        return []

    def drop(self, ended: Sequence[Ended], database: str) -> Steps[int]:
        """Drop ended sessions that SQL has, those that belong to this database; how many. A sweep drops the others."""
        drops = [scripts.drop(self._keys(each.place.shard), each, database) for each in ended]
        replies: list[Any] = yield Send(drops, self._deadline())
        return sum(reply is True for reply in replies)

    def _end(self, some: Sequence[tuple[Place, str]], deadline: Deadline) -> Steps[list[Ended]]:
        ends = [scripts.end(self._keys(place.shard), place, user, self.life) for place, user in some]
        return [each for each in (yield from _ask(ends, deadline)) if each]

    def _begin(self, fresh: Fresh, begun: Begun, deadline: Deadline) -> Steps[Session]:
        keys = self._keys(fresh.place.shard)
        (session,) = yield from _ask([scripts.begin(keys, fresh.place, begun, self.life)], deadline)
        assert isinstance(session, Session)  # noqa: S101 (what begins is not over)
        return session

    def _look(self, place: Place, deadline: Deadline) -> Steps[Session | None]:
        looks = scripts.touch(self._keys(place.shard), place, self.life, hit=False)
        (session,) = yield from _ask([looks], deadline)
        return session if isinstance(session, Session) else None

    def _live_on(self, session: Session | None, deadline: Deadline) -> Steps[Session | None]:
        """The same session, its expiry put off if a tenth of its idle time has passed."""
        if session is None or not _is_due(session, self.life):
            return session
        (expires_at,) = yield Send([scripts.slide(self._keys(session.place.shard), session, self.life)], deadline)
        if expires_at is None or isinstance(expires_at, LikesError):  # the next request tries again
            return session
        return session._replace(expires_at=expires_at)

    def _deadline(self) -> Deadline:
        return Deadline(self._timeout)


def _is_due(session: Session, life: Life) -> bool:
    unused, longest = session.seen.timestamp() + life.idle, session.created_at.timestamp() + life.longest
    gain = min(unused, longest) - session.expires_at.timestamp()
    return gain >= life.idle / 10 or (gain >= LEAST_GAIN_SECONDS and longest <= unused)


def _chunks(places: Sequence[Place]) -> list[Sequence[Place]]:
    return [places[i : i + CHUNK] for i in range(0, len(places), CHUNK)]


def _ask(calls: Sequence[Call[Any]], deadline: Deadline, again: Sequence[Call[Any]] | None = None) -> Steps[list[Any]]:
    """The replies, asked for once more where a connection broke; raises an error there is among them.

    again: what is sent then, if that is not the same.
    """
    replies: list[Any] = yield Send(calls, Deadline(deadline.left(), first=True))
    if any(isinstance(reply, RedisUnavailable) for reply in replies):
        replies = yield Send(calls if again is None else again, deadline)
    for reply in replies:
        if isinstance(reply, LikesError) and not isinstance(reply, InvalidInput):
            raise reply
    return replies
