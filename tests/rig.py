"""One Redis and one database with a counter and workers on them, and what a test does to them and sees of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import redis
import redis.sentinel
from sqlalchemy import Engine, Row, delete, insert, select

from likes import LikeCounter
from likes.buffer.buffer import Buffer
from likes.buffer.links.link import Link
from likes.buffer.standing import Standing
from likes.connect import Places
from likes.counted import Counted
from likes.sessions.session import Life
from likes.sessions.sweeping import Sweeping
from likes.sql.cursors import Cursor
from likes.sql.dialects import dialect_of
from likes.sql.engine import open_engine, reading, writing
from likes.sql.ledger import Ledger
from likes.sql.tables import batches, database, dead_letters, incidents, metadata, retired_epochs, totals
from likes.sql.takeover import take_over
from likes.sql.urls import url_of
from worker.flush import Flusher
from worker.resharding import Reshard
from worker.sweep import Sweep

# An exposure window may begin a little before the last complete flush: asking servers for the time takes time.
SLACK = timedelta(seconds=1)
LIFE = Life(idle=1800, longest=7 * 86_400)

DUMP_ALL = """
local dumps = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
    dumps[#dumps + 1] = key
    dumps[#dumps + 1] = redis.call('DUMP', key)
end
return dumps
"""

RedisCopy = dict[bytes, bytes]
SqlCopy = dict[str, list[dict[str, Any]]]


def _client_of(url: str) -> redis.Redis | redis.RedisCluster:
    scheme, _, nodes = url.partition("://")
    host, _, port = nodes.partition(",")[0].rpartition(":")
    if scheme == "redis+cluster":
        return redis.RedisCluster(host, int(port))
    if scheme == "redis+sentinel":
        return redis.sentinel.Sentinel([(host, int(port))]).master_for(nodes.split("/")[1])
    return redis.Redis.from_url(url)


class Rig:
    """`likes` posts, `flush` moves what was posted into SQL; the rest breaks them or looks inside."""

    def __init__(
        self,
        redis_url: str,
        engine: Engine,
        *,
        shards: int = 1,
        batch_items: int = 1000,
        prefix: str = "likes",
        durability: str = "none",
        patience: float = 4,
    ) -> None:
        self.engine = engine
        self.shards = shards
        self.batch_items = batch_items
        self.prefix = prefix
        self.durability, self.patience = durability, patience
        self.places = Places(redis_url, url_of(engine), None, redis_timeout=5, database_timeout=10)
        self._open = ExitStack()
        self.redis: Any = self._open.enter_context(_client_of(redis_url))
        self.likes = self._open.enter_context(
            LikeCounter(redis_url=redis_url, database_url=url_of(engine), shards=shards, prefix=prefix)
        )
        self.worker = self._open.enter_context(self.new_worker())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @contextmanager
    def new_worker(
        self,
        wrap_link: Callable[[Link], Link] = lambda link: link,
        wrap_engine: Callable[[Engine], None] = lambda _: None,
        *,
        redis_name: str = "redis",
        former_redis_names: Collection[str] = (),
        any_number: bool = False,
    ) -> Iterator[Flusher]:
        """A worker with connections of its own, as another process would have. any_number: as for `likes reshard`."""
        link = wrap_link(self.places.open_link())
        engine = open_engine(url_of(self.engine), timeout=10)
        wrap_engine(engine)
        buffer = Buffer(
            link,
            lambda: wrap_link(self.places.open_link()),
            self.prefix,
            self.batch_items,
            durability=self.durability,
            patience=self.patience,
        )
        ledger = Ledger(engine, self.prefix, "test", buffer.clock)
        try:
            yield Flusher(
                buffer,
                ledger,
                redis_name=redis_name,
                former_redis_names=former_redis_names,
                shards=self.shards,
                threads=1,
                any_number=any_number,
            )
        finally:
            link.close()
            engine.dispose()

    def flush(self) -> Counted:
        """One whole flush, of the shards there are: looking for others takes ten times as long."""
        return self.worker.flush(range(self.shards))

    def reshard(self, to: int, tell: Callable[[str], object] = lambda _step: None) -> int:
        """What `likes reshard` does; how many shards there were before."""
        with self.new_worker(any_number=True) as worker:
            change = Reshard(worker, to, self.shards, tell)
            change.run()
            return change.before

    def sweep(self, life: Life = LIFE) -> Sweep:
        """What sees to sessions that are over, of a worker of its own."""
        return Sweep(Sweeping(self.worker.buffer, life), self.worker.ledger)

    def owners(self) -> dict[int, str]:
        """The database that each shard belongs to."""
        views = self.worker.buffer.look(dict.fromkeys(range(self.shards)))
        return {shard: view.owner for shard, view in views.items()}

    def adopt_database(self) -> None:
        """What `likes adopt --database` does: Redis belongs to this database."""
        self.worker.buffer.ownership.take_over(self.owners(), self.worker.ledger.make_database_id())

    def adopt_redis(self, name: str) -> None:
        """What `likes adopt` does: the database belongs to the Redis of this name."""
        take_over(self.engine, self.prefix, name, ["redis"])

    # What Redis holds.

    def key(self, name: str, shard: int = 0) -> str:
        """A key of the current epoch, such as `state` or `delta:likes:a`."""
        return f"{{{self.prefix}:{shard}}}:{self.epoch(shard)}:{name}"

    def begin_older_epochs(self, shards: Iterable[int]) -> None:
        """As a version did whose epochs do not say in how many shards likes are held, where there are none yet."""
        for shard in shards:
            self.redis.sadd(f"{{likes:{shard}}}:epochs", "older")
            self.redis.set(f"{{likes:{shard}}}:epoch", "older", nx=True)

    def epoch(self, shard: int = 0) -> str:
        """The epoch Redis points at."""
        return (self.redis.get(f"{{{self.prefix}:{shard}}}:epoch") or b"").decode()

    def epochs(self, shard: int = 0) -> set[str]:
        """The epochs that still have keys."""
        return {epoch.decode() for epoch in self.redis.smembers(f"{{{self.prefix}:{shard}}}:epochs")}

    def views(self, shard: int = 0) -> dict[str, Standing]:
        """What a worker sees of each epoch."""
        return dict(self.worker.buffer.look({shard: None})[shard].epochs)

    def redis_now(self) -> datetime:
        """The moment by its clock."""
        seconds, microseconds = self.redis.time()
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds)

    def copy_redis(self) -> RedisCopy:
        """All it holds at one moment, for `restore_redis`; without leases, which end before anybody restores a copy."""
        dumps: list[bytes] = self.redis.eval(DUMP_ALL, 0)
        copy = dict(zip(dumps[::2], dumps[1::2], strict=True))
        return {key: dump for key, dump in copy.items() if not key.endswith(b"}:lease")}

    def restore_redis(self, copy: RedisCopy) -> None:
        """Redis goes back to when the copy was made."""
        with self.redis.pipeline() as pipe:
            pipe.flushall()
            for key, value in copy.items():
                pipe.restore(key, 0, value)
            pipe.execute()

    # What SQL holds.

    def totals(self, counter: str = "likes") -> dict[str, int]:
        """Item -> total."""
        with reading(self.engine) as connection:
            rows = connection.execute(select(totals.c.item, totals.c.total).where(totals.c.counter == counter))
            return {row.item: row.total for row in rows}

    def cursor(self, shard: int = 0) -> Cursor:
        """Where a shard stands."""
        return self.worker.ledger.cursors()[shard]

    def covered_to(self) -> datetime:
        """The moment before which all that was accepted, in any shard, is in SQL."""
        covered = [cursor.covered_to for cursor in self.worker.ledger.cursors().values()]
        assert covered and None not in covered
        return min(covered)

    def ledger(self) -> list[Row[Any]]:
        """The batches applied, in order."""
        return self._all(select(batches).order_by(batches.c.applied_at, batches.c.seq))

    def retired(self) -> dict[str, Row[Any]]:
        """The epochs given up."""
        return {row.epoch: row for row in self._all(select(retired_epochs))}

    def dead_letters(self) -> list[Row[Any]]:
        """The entries set aside, in order."""
        return self._all(select(dead_letters).order_by(dead_letters.c.id))

    def set_aside(self) -> dict[str, int]:
        """Item -> sum of its deltas among the dead letters."""
        sums: dict[str, int] = {}
        for letter in self.dead_letters():
            sums[letter.item] = sums.get(letter.item, 0) + (letter.delta or 0)
        return sums

    def incidents(self) -> list[Row[Any]]:
        """What went wrong, in order."""
        return self._all(select(incidents).order_by(incidents.c.id))

    def kinds(self) -> list[str]:
        """The kinds of incidents, in order."""
        return [incident.kind for incident in self.incidents()]

    def copy_sql(self) -> SqlCopy:
        """All rows, for `restore_sql`: of one moment, as in a backup, whoever else writes meanwhile."""
        with reading(self.engine.execution_options(**dialect_of(self.engine).SNAPSHOT)) as connection:
            return {
                table.name: [dict(row._mapping) for row in connection.execute(select(table))]
                for table in metadata.sorted_tables
            }

    def restore_sql(self, copy: SqlCopy) -> None:
        """SQL goes back to when the copy was made."""
        with writing(self.engine) as connection:
            connection.execute(select(database.c.id).with_for_update())  # whoever applies a batch holds that, too
            for table in metadata.sorted_tables:
                connection.execute(delete(table))
                if copy[table.name]:
                    connection.execute(insert(table), copy[table.name])

    def _all(self, query: Any) -> list[Row[Any]]:
        with reading(self.engine) as connection:
            return list(connection.execute(query))
