"""The Redis keys of sessions, made here and nowhere else.

They stand outside epochs: a session that Redis remembers from before it went back is as good as any, but for those that
ended meanwhile, which a sweep ends again. The tag is that of the counters' shard of the same number, so that the owner
of the shard, which guards the sweep, lies in the same slot.
"""

from __future__ import annotations

from functools import lru_cache

from likes.buffer.keys import shard_keys


class SessionKeys:
    """The keys of the sessions of one shard."""

    def __init__(self, namespace: str, shard: int) -> None:
        of_counters = shard_keys(namespace, shard)
        self.shard = shard
        self.owner = of_counters.owner
        self.due = of_counters.tag + b"session_due"
        self.sweeps = of_counters.tag + b"session_sweeps"
        self._session = of_counters.tag + b"session:"
        self._index = of_counters.tag + b"sessions:"

    def session(self, digest: str) -> bytes:
        """The key of a session."""
        return self._session + digest.encode()

    def index(self, user: str) -> bytes:
        """The key of the sessions of a user."""
        return self._index + user.encode()


@lru_cache(maxsize=1024)
def session_keys(namespace: str, shard: int) -> SessionKeys:
    """The keys of the sessions of `shard`."""
    return SessionKeys(namespace, shard)
