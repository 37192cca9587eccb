"""Before anything is flushed: Redis and the database are known to belong to each other, and to nobody else.

The database knows its Redis by name; each shard of Redis names its database. What belongs to nobody yet is claimed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from likes.buffer.buffer import Buffer
from likes.errors import DatabaseUnavailable, LikesError
from likes.sql.cursors import Cursor
from likes.sql.identity import Claim
from likes.sql.known_redis import require_redis
from likes.sql.ledger import Ledger

ATTEMPTS = 5  # another worker may claim at the same time


class Pair:
    """One Redis and one database that may belong together.

    redis_name: the name by which the database knows its Redis; former_names: those it may know it by still.
    """

    def __init__(self, buffer: Buffer, ledger: Ledger, redis_name: str, former_names: Collection[str] = ()) -> None:
        self.redis_name = redis_name
        self._buffer = buffer
        self._ledger = ledger
        self._former_names = former_names

    def claim(self, shards: Collection[int]) -> dict[int, Cursor]:
        """The cursors of `shards`, and of all others that have one; all of them, idle ones too, are claimed then.

        Raises WrongRedis and WrongDatabase, before anything of another's is touched.
        """
        for _ in range(ATTEMPTS):
            database, cursors = self._ledger.known()
            self.require_redis(cursors)
            owners = self._buffer.ownership.read({*cursors, *shards})
            if not database and self._ledger.claim.database:
                what = "its tables are empty now; is it being restored? If it was made anew: likes adopt --database"
                raise DatabaseUnavailable(f"{self._ledger.where}: {what}")
            if not database and any(owners.values()):
                database = self._ledger.known()[0]  # made since, by a worker that claims at the same time
            self._ledger.claim = Claim(database, self.redis_name)
            self._buffer.ownership.database = database
            if not self._take_what_is_nobodys(cursors, owners):
                self._buffer.ownership.claimed = frozenset(cursors)
                return cursors
        raise LikesError(
            f"{self._buffer.where} does not keep which database it belongs to; is it a replica, or emptied?"
        )

    def require_redis(self, cursors: Mapping[int, Cursor]) -> None:
        """Raise WrongRedis if one of these cursors belongs to another one."""
        for cursor in cursors.values():
            require_redis(cursor, self.redis_name, *self._former_names)

    def _take_what_is_nobodys(self, cursors: Mapping[int, Cursor], owners: Mapping[int, str]) -> bool:
        """Claim what belongs to nobody; False if nothing was."""
        ownership, database = self._buffer.ownership, self._ledger.claim.database
        ownership.require_none_of_another(owners, database)
        unclaimed = [shard for shard, owner in owners.items() if not owner]
        named = {shard for shard, cursor in cursors.items() if cursor.redis_name == self.redis_name}
        if not unclaimed and named.issuperset(owners):
            return False
        self._ledger.claim = Claim(database or self._ledger.make_database_id(), self.redis_name)
        suspects = [shard for shard in unclaimed if shard in cursors and cursors[shard].epoch is None]
        if suspects and (gone := ownership.unclaimed(suspects)):
            self._ledger.note_emptied(gone)
        ownership.claim(unclaimed, self._ledger.claim.database)
        self._ledger.begin_cursors(owners, self._former_names)
        return True
