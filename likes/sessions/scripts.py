"""The Lua scripts of sessions and how to call them: each function's signature is the contract of one `.lua` file."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from itertools import chain
from typing import Any

from likes.buffer.calls import Call, Script, Word
from likes.errors import InvalidInput
from likes.sessions.fields import MOST_BYTES, MOST_FIELDS, Fields, too_many_bytes, too_many_fields
from likes.sessions.keys import SessionKeys
from likes.sessions.session import Begun, Due, Ended, Life, Session, moment, read_ended, read_session
from likes.sessions.token import Place


def _script(name: str, prelude: str | None = "life") -> Script:
    return Script(name, package="likes.sessions", prelude=prelude)


BEGIN, TOUCH, SLIDE, CHANGE, END, ROTATE, SWEEP = map(
    _script, ("begin", "touch", "slide", "change", "end", "rotate", "sweep")
)
DROP = _script("drop", None)


def begin(keys: SessionKeys, place: Place, begun: Begun, life: Life) -> Call[Session | None]:
    """Begin a session; harmless when repeated."""
    names = (keys.session(place.digest), keys.due, *_index(keys, begun.user))
    words: list[Word] = [*life.words(), place.digest, begun.user, begun.hits, " ".join(begun.keep)]
    return BEGIN.call(
        keys.shard, names, [*words, *chain.from_iterable(begun.fields.items())], partial(read_session, place)
    )


def touch(keys: SessionKeys, place: Place, life: Life, *, hit: bool) -> Call[Session | None]:
    """Read a session, as a request that counts, or not; None if it is over."""
    return TOUCH.call(
        keys.shard, (keys.session(place.digest),), (*life.words(), int(hit)), partial(read_session, place)
    )


def slide(keys: SessionKeys, session: Session, life: Life) -> Call[Any]:
    """Let a session live on; when it expires now, None if it is over."""
    digest, user = session.place.digest, session.user
    names = (keys.session(digest), keys.due, *_index(keys, user))
    return SLIDE.call(keys.shard, names, (*life.words(), digest, user), lambda at: at and moment(at))


def change(
    keys: SessionKeys, place: Place, fields: Fields, removed: Collection[str], life: Life
) -> Call[Session | InvalidInput | None]:
    """Set some fields and remove others; None if the session is over, InvalidInput if there would be too much in it."""
    words: list[Word] = [*life.words(), MOST_FIELDS, MOST_BYTES, len(fields)]
    return CHANGE.call(
        keys.shard,
        (keys.session(place.digest),),
        [*words, *chain.from_iterable(fields.items()), *removed],
        partial(_read_changed, place),
    )


def _read_changed(place: Place, reply: Any) -> Session | InvalidInput | None:
    refused = {b"fields": too_many_fields, b"bytes": too_many_bytes}
    return refused[reply]() if isinstance(reply, bytes) else read_session(place, reply)


def end(
    keys: SessionKeys,
    place: Place,
    user: str,
    life: Life,
    *,
    expired: bool = False,
    database: str = "",
    moved_to: Place | None = None,
    due_in: float = 0,
) -> Call[Ended | None]:
    """End a session, or seal again what waits of it; None if nothing does.

    expired: end it only if its time is over. database: only where the shard belongs to that one. moved_to: where it
    goes on, and all of its fields with it. due_in: seconds after which a sweep sees to it.
    """
    names = (keys.session(place.digest), keys.due, keys.owner, *_index(keys, user))
    goes_on = f"{moved_to.shard}.{moved_to.digest}" if moved_to else ""
    words = (*life.words(), place.digest, user, int(expired), database, goes_on, round(due_in * 1000))
    return END.call(keys.shard, names, words, partial(read_ended, place))


def rotate(keys: SessionKeys, place: Place, to: Place, user: str, life: Life) -> Call[tuple[Session, Ended] | None]:
    """Give a session another token in its shard, and end the one before; None if it is over."""
    names = (keys.session(place.digest), keys.session(to.digest), keys.due, keys.owner, *_index(keys, user))
    words = (*life.words(), place.digest, to.digest, user)
    return ROTATE.call(keys.shard, names, words, partial(_read_rotated, place, to))


def _read_rotated(place: Place, to: Place, reply: list[bytes] | None) -> tuple[Session, Ended] | None:
    session = read_session(to, reply)
    if session is None or reply is None:
        return None
    ended = read_ended(place, [*reply, b"ended_at", reply[0]])
    return (session, ended._replace(fields={})) if ended else None


def drop(keys: SessionKeys, ended: Ended, database: str) -> Call[bool]:
    """Drop an ended session that SQL has; False if it is another database's, or gone."""
    member = f"{ended.place.digest}{ended.user}"
    names = (keys.session(ended.place.digest), keys.due, keys.owner)
    return DROP.call(keys.shard, names, (database, member, ended.at), bool)


def sweep(keys: SessionKeys, database: str, most: int, life: Life) -> Call[Due | None]:
    """Begin a sweep of a shard; None where it belongs to another database."""
    return SWEEP.call(keys.shard, (keys.due, keys.sweeps, keys.owner), (*life.words(), database, most), _read_due)


def _read_due(reply: Any) -> Due | None:
    if not reply:
        return None
    now, number, members = reply
    return Due(int(now), int(number), [(member[:64].decode(), member[64:].decode()) for member in members])


def _index(keys: SessionKeys, user: str) -> tuple[bytes, ...]:
    return (keys.index(user),) if user else ()
