"""Every error a caller may see. One root, `LikesError`; each message says what happened and what to do."""

from __future__ import annotations

from collections.abc import Mapping


class LikesError(Exception):
    """The root of all errors raised on purpose by this package."""


class InvalidInput(LikesError, ValueError):
    """An item, a counter, a count or a setting that is refused before anything is written."""


class SettingsError(InvalidInput):
    """A setting with a value that is not allowed."""


class Unavailable(LikesError):
    """A server that cannot be reached, or does not answer in time."""


class RedisUnavailable(Unavailable):
    """Redis cannot be reached; nothing was written."""


class DatabaseUnavailable(Unavailable):
    """The SQL database cannot be reached; likes go on being accepted in Redis."""


class DatabaseBusy(DatabaseUnavailable):
    """The SQL database is there, but a lock or a time-out kept it from doing this, again and again."""


class DatabaseRefused(LikesError):
    """The database answered that it will not do this (no permission, a broken constraint); nothing was written."""


class RedisRefused(LikesError):
    """Redis answered that it will not do this (no permission, wrong password, a replica); nothing was written."""


class RedisFull(RedisRefused):
    """Redis is at its memory limit; nothing was written. A flush makes room."""


class WrongRedis(LikesError):
    """The database belongs to another Redis; `likes adopt` accepts this one."""


class SchemaOutdated(LikesError):
    """The tables are missing or older than this version; `likes migrate` brings them to head."""


class AddFailed(LikesError):
    """Some entries of an `add` were not counted; the maps say what became of each.

    accepted: item -> count, in Redis.
    refused:  item -> reason, certainly not counted.
    unknown:  item -> count, counted or not: nobody can tell.
    """

    def __init__(
        self,
        message: str,
        *,
        accepted: Mapping[str, int] | None = None,
        refused: Mapping[str, str] | None = None,
        unknown: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(message)
        self.accepted = dict(accepted or {})
        self.refused = dict(refused or {})
        self.unknown = dict(unknown or {})


class EntryRefused(AddFailed):
    """Redis refused single entries (an overflow, a key of another type); the others were counted."""


class OutcomeUnknown(AddFailed):
    """Redis was sent these likes and then lost or replaced: whether they were counted cannot be known."""
