"""Whose a Redis is: each shard names the one database that it belongs to, so that no other one flushes it.

The name stands outside epochs, and in no other place. `REDIS_NAME` is the other half: which Redis a database knows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import closing

from likes.buffer.calls import command
from likes.buffer.damage import Damaged, read_word
from likes.buffer.keys import shard_keys
from likes.buffer.links.link import Link, ask
from likes.buffer.scripts import claim
from likes.errors import LikesError, Unavailable, WrongDatabase


class Ownership:
    """The owners of the shards of one namespace.

    database: the id of the one that a flush claimed them for; "" before that. claimed: its shards then.
    """

    def __init__(self, link: Link, open_fresh: Callable[[], Link], namespace: str) -> None:
        self._link = link
        self._open_fresh = open_fresh
        self._namespace = namespace
        self.database = ""
        self.claimed: frozenset[int] = frozenset()

    def read(self, shards: Collection[int]) -> dict[int, str]:
        """The database each shard belongs to, "" for none; without those where another type stands at the key.

        Raises Unavailable.
        """
        keys = [shard_keys(self._namespace, shard) for shard in sorted(shards)]
        replies = self._link.send([command("GET", each.owner, shard=each.shard) for each in keys])
        if away := next((reply for reply in replies if isinstance(reply, Unavailable)), None):
            raise away
        found = zip(keys, replies, strict=True)
        return {each.shard: read_word(each.owner, owner) for each, owner in found if not isinstance(owner, LikesError)}

    def unclaimed(self, shards: Collection[int]) -> list[int]:
        """Those of `shards` that belong to no database. Asked over a fresh connection with a write, which only a master
        accepts.
        """
        keys = [shard_keys(self._namespace, shard) for shard in sorted(shards)]
        calls = [(command("SREM", each.epochs, "", shard=each.shard), command("GET", each.owner)) for each in keys]
        with closing(self._open_fresh()) as link:
            replies = link.send([call for pair in calls for call in pair])
        errors = (reply for reply in replies if isinstance(reply, LikesError) and not isinstance(reply, Damaged))
        if error := next(errors, None):  # of a damaged key a flush tells, and keeps back its shard alone
            raise error
        return [each.shard for each, owner in zip(keys, replies[1::2], strict=True) if not owner]

    def claim(self, shards: Collection[int], database: str) -> None:
        """Let all `shards` that belong to nobody belong to `database`. Raises WrongDatabase.

        The first one alone, before the others: there two databases meet that both saw a Redis without an owner.
        """
        for some in sorted(shards)[:1], sorted(shards)[1:]:
            self._move(dict.fromkeys(some, ""), database)

    def take_over(self, seen: Mapping[int, str], database: str) -> None:
        """Let each shard that still belongs to whom it was `seen` to belong to `database`, one after the other.

        Raises WrongDatabase at the first that has changed hands meanwhile; those before it have moved, and may again.
        """
        for shard, owner in sorted(seen.items()):
            self._move({shard: owner}, database)

    def _move(self, seen: Mapping[int, str], database: str) -> None:
        calls = [
            claim(shard_keys(self._namespace, shard), seen=owner, database=database) for shard, owner in seen.items()
        ]
        owners = ask(self._link, calls) if calls else []
        self.require_none_of_another(dict(zip(seen, owners, strict=True)), database)

    def require_none_of_another(self, owners: Mapping[int, str], database: str) -> None:
        """Raise WrongDatabase if one of these shards belongs to another database than `database` ("": a new one)."""
        for shard, owner in sorted(owners.items()):
            if owner not in ("", database):
                ours = f"{database[:8]}…" if database else "a new one"
                raise WrongDatabase(
                    f"{self._link.where} belongs to the database {owner[:8]}… (shard {shard}), not to this one "
                    f"({ours}), so nothing was taken from it; set LIKES_DATABASE_URL to its own database or, if that "
                    "is gone for good, let it belong to this one: likes adopt --database"
                )

    def require_own(self, shard: int, owner: str) -> None:
        """Raise WrongDatabase if a shard, once claimed, has another `owner` now; LikesError if it has none."""
        self.require_none_of_another({shard: owner}, self.database)
        if not owner:
            where = self._link.where
            raise LikesError(f"{where}: shard {shard} no longer names its database (was Redis emptied?); flush again")
