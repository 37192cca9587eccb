"""docs/deploying.md: the sizes, measured again."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, text

from likes import LikeCounter
from likes.sql.engine import open_engine, reading
from tests.servers import RedisServer
from tests.shell import Shell
from tests.snippets import DOCS

ITEMS = [f"video:{number:07}" for number in range(100_000)]
A_CALL = 1000


def told(what: str) -> int:
    """The bytes that the page's table has for it."""
    (size,) = re.findall(rf"^\| {re.escape(what)} \| (\d+) \|$", (DOCS / "deploying.md").read_text(), re.MULTILINE)
    return int(size)


def test_memory_of_a_pending_item(own_valkey: Callable[..., RedisServer], sqlite_url: str) -> None:
    ours, plain = (redis.Redis.from_url(own_valkey().url) for _ in range(2))
    used = {client: client.info("memory")["used_memory"] for client in (ours, plain)}
    with LikeCounter(redis_url=url_of(ours), database_url=sqlite_url) as likes, plain.pipeline() as pipe:
        for start in range(0, len(ITEMS), A_CALL):
            some = ITEMS[start : start + A_CALL]
            likes.add(dict.fromkeys(some, 1))
            for item in some:
                pipe.incrby(item, 1)
            pipe.execute()
    each = {client: (client.info("memory")["used_memory"] - used[client]) / len(ITEMS) for client in (ours, plain)}
    ours.close()
    plain.close()
    assert each[ours] == pytest.approx(told("Redis, a pending item"), rel=0.1)
    assert each[plain] == pytest.approx(told("… a plain INCRBY key of the same item"), rel=0.1)


def url_of(client: redis.Redis) -> str:
    return f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/0"


def test_bytes_in_the_database(tmp_path: Path, valkey_url: str, postgres_url: str) -> None:
    likes = Shell(tmp_path, redis_url=valkey_url, database_url=postgres_url)
    likes("migrate")  # a new database: rows would go where others were
    with LikeCounter(redis_url=valkey_url) as counter:
        for start in range(0, len(ITEMS), A_CALL):
            counter.add(dict.fromkeys(ITEMS[start : start + A_CALL], 1))
    engine = open_engine(postgres_url, timeout=10)
    before = sizes(engine)
    assert likes("flush", "--json").json["items"] == len(ITEMS)
    after = sizes(engine)
    engine.dispose()
    totals, ledger = ((after[table] - before[table]) / len(ITEMS) for table in ("likes_totals", "likes_batches"))
    assert totals == pytest.approx(told("PostgreSQL, an item in `likes_totals`, with its index"), rel=0.15)
    assert ledger == pytest.approx(told("PostgreSQL, an item flushed, in the ledger"), rel=0.3)


def sizes(engine: Engine) -> dict[str, int]:
    query = """
        SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relname IN ('likes_totals', 'likes_batches')
    """
    with reading(engine) as connection:
        return {row.relname: row.pg_total_relation_size for row in connection.execute(text(query))}
