"""What a LikeCounter refuses before it has sent anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
import redis.sentinel
from sqlalchemy import Engine, create_engine

from likes import AsyncLikeCounter, InvalidInput, LikeCounter, Settings
from likes.buffer.links.connections import taken_over
from likes.by_shard import entries

NOWHERE = "redis://127.0.0.1:1"
COUNTERS = pytest.mark.parametrize("kind", [LikeCounter, AsyncLikeCounter])

WRONG: list[tuple[str, list[object], str]] = [
    ("shards", [0, -1, 1025, 1.5, True, "4", None, 10**5000], "allowed: whole numbers, 1 to 1024"),
    ("prefix", ["", "a b", "a{b", "a}b", "é", "x" * 65, None, 5], "allowed: 1 to 64 of A-Z a-z 0-9 _ . : -"),
    ("redis_timeout", [0, -1, float("nan"), float("inf"), 10**400, True, "5", None], "allowed: 0.001 to 86400 seconds"),
    ("database_timeout", [0, -1, float("nan"), float("inf"), True, "5", None], "allowed: 0.001 to 86400 seconds"),
    ("data_dir", [5, b"folder", "", "\udcff", True], "allowed: the path of a folder, in UTF-8"),
    ("redis_url", [5, b"redis://h", object()], "allowed: a URL as text"),
    ("redis_url", ["", "h", "http://h", "redis+cluster://"], ""),
    ("redis_url", ["redis://h?retry_on_timeout=yes", "redis://h?ssl_ca_certs=f"], "allowed: db, password, username"),
    ("database_url", [5, b"sqlite:////likes.db"], "allowed: a URL as text"),
    ("database_url", ["", "sqlite://", "oracle://h/d", "postgresql://h"], "allowed: sqlite:////PATH/FILE"),
]


@COUNTERS
@pytest.mark.parametrize(("name", "values", "allowed"), WRONG)
def test_a_wrong_argument_is_named_with_what_is_allowed(
    kind: Any, name: str, values: list[object], allowed: str
) -> None:
    for value in values:
        with pytest.raises(InvalidInput) as refused:
            kind(**{"redis_url": NOWHERE, name: value})
        said = str(refused.value)
        assert said.startswith(f"{name} is ") and allowed in said
        assert len(said) < 300 and said.isprintable()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("redis_url", "redis://:s3cret@h?decode_responses=true"),
        ("redis_url", b"redis://:s3cret@h"),
        ("redis_url", "redis+sentinel://u:s3cret@h"),
        ("database_url", "oracle://u:s3cret@h/d"),
        ("shards", "redis://:s3cret@h"),
        ("prefix", "redis://:s3cret@h"),
    ],
)
def test_a_wrong_argument_shows_no_password(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=name) as refused:
        LikeCounter(**{name: value})
    assert "s3cret" not in str(refused.value)


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite:////likes.db")
    yield engine
    engine.dispose()


@COUNTERS
def test_a_server_is_given_in_one_way(kind: Any, engine: Engine) -> None:
    client = redis.Redis() if kind is LikeCounter else redis.asyncio.Redis()
    with pytest.raises(InvalidInput, match="redis_url and redis are both given"):
        kind(redis_url=NOWHERE, redis=client)
    with pytest.raises(InvalidInput, match="database_url and engine are both given"):
        kind(database_url="sqlite:////likes.db", engine=engine)


def test_a_client_that_leads_to_no_single_server_is_refused() -> None:
    sentinel = redis.sentinel.Sentinel([("127.0.0.1", 1)])
    for client in (sentinel.master_for("service"), sentinel.slave_for("service").connection_pool):
        with pytest.raises(
            InvalidInput, match=r"redis is a client of Redis Sentinel; pass redis_url='redis\+sentinel://"
        ):
            LikeCounter(redis=client)
    cluster: Any = object.__new__(redis.RedisCluster)  # a real one connects at once
    with pytest.raises(InvalidInput, match=r"redis is a client of a Redis Cluster; pass redis_url=.redis\+cluster://"):
        LikeCounter(redis=cluster)


def test_a_client_of_the_other_kind_is_refused() -> None:
    clients: tuple[Any, ...] = (redis.asyncio.Redis(), redis.asyncio.ConnectionPool())
    for client in clients:
        with pytest.raises(InvalidInput, match=r"for asyncio, and this counter is for threads; pass a redis\.Redis"):
            LikeCounter(redis=client)
    others: tuple[Any, ...] = (redis.Redis(), redis.BlockingConnectionPool())
    for client in others:
        with pytest.raises(InvalidInput, match=r"for threads, and this counter is for asyncio; pass a redis\.asyncio"):
            AsyncLikeCounter(redis=client)
    for stranger in ("redis://:s3cret@h", 5, sentinel_itself()):
        with pytest.raises(InvalidInput, match="redis is of type .*; pass a") as refused:
            LikeCounter(redis=stranger)  # type: ignore[arg-type]  # no client at all
        assert "s3cret" not in str(refused.value)


def sentinel_itself() -> Any:
    return redis.sentinel.Sentinel([("127.0.0.1", 1)])


@pytest.mark.parametrize("kind", [redis.Redis, redis.asyncio.Redis], ids=["threads", "asyncio"])
def test_of_a_client_only_where_it_leads_and_as_whom_is_taken_over(kind: Any) -> None:
    """A name that redis-py adds shows here: whoever sees this fail decides whether it is one of those."""
    client = kind(ssl=True, protocol=3, driver_info=None, retry_on_error=[OSError])
    taken = {name for name in taken_over(client.connection_pool.connection_kwargs) if not name.startswith("ssl_")}
    assert taken == {
        *("host", "port", "db", "username", "password", "credential_provider", "redis_connect_func"),
        *("client_name", "socket_keepalive", "socket_keepalive_options", "socket_read_size"),
    }


@COUNTERS
def test_settings_are_settings(kind: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="settings are of type dict"):
        kind.from_settings({"shards": 3})
    counter = kind.from_settings(Settings.load(prefix="other", shards=3, data_dir=tmp_path))
    assert (counter.prefix, counter.shards) == ("other", 3)


@pytest.mark.parametrize("items", ["video:42", b"bytes", 5, None])
def test_totals_are_asked_of_several_items(items: Any) -> None:
    likes = LikeCounter(redis_url=NOWHERE)
    with pytest.raises(InvalidInput, match="several items"):
        likes.totals(items)


@pytest.mark.parametrize("item", [[], {}, None, 5, b"video:42"])
def test_an_item_of_any_other_type_is_refused(item: Any) -> None:
    likes = LikeCounter(redis_url=NOWHERE)
    for refuse in (likes.like, likes.total, likes.pending, lambda item: likes.totals([item])):
        with pytest.raises(InvalidInput, match="is not text"):
            refuse(item)


@pytest.mark.parametrize("deltas", [[("a", 1)], "abc", None, {"a"}])
def test_many_are_given_as_a_mapping(deltas: Any) -> None:
    with pytest.raises(InvalidInput, match="takes a mapping"):
        LikeCounter(redis_url=NOWHERE).add(deltas)


class Restless(Mapping[str, int]):
    """Its items stand in another order every time one looks, as if another thread were at it."""

    def __init__(self, counts: dict[str, int]) -> None:
        self._counts = counts

    def __getitem__(self, item: str) -> int:
        return self._counts[item]

    def __iter__(self) -> Iterator[str]:
        self._counts = dict(reversed(self._counts.items()))
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)


def test_each_item_keeps_its_count_while_the_mapping_changes() -> None:
    counts = {f"item {n}": n for n in range(10)}
    sorted_out = entries(Restless(counts), "likes", 16)
    assert {member.decode(): delta for some in sorted_out.values() for member, delta in some} == {
        f"likes:{item}": n for item, n in counts.items()
    }
