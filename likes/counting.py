"""What LikeCounter and AsyncLikeCounter share: how they are made, and where their servers are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, get_args

from likes.config.arguments import (
    YEAR_SECONDS,
    check_folder,
    check_one_of,
    check_prefix,
    check_seconds,
    check_shards,
    check_url,
    check_word,
)
from likes.config.urls import check_database_url, check_redis_url
from likes.connect import Places
from likes.errors import InvalidInput
from likes.handed_in import HandedDatabase, HandedRedis
from likes.live.caching import CacheCounts, CacheRules, EarlyRefresh
from likes.opened import Opened
from likes.per_process import PerProcess
from likes.posting.adder import Adder
from likes.posting.producer import Producers

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from likes.config.settings import Settings

ClientT = TypeVar("ClientT")
OpenedT = TypeVar("OpenedT", bound="Opened[Any]")


class Counting(Generic[ClientT, OpenedT]):
    """One Redis and one database, and how to reach them. `ClientT`: what may be handed in as `redis`."""

    ASYNCHRONOUS: ClassVar[bool]

    def __init__(
        self,
        *,
        redis_url: str | None = None,
        redis: ClientT | None = None,
        database_url: str | None = None,
        engine: Engine | None = None,
        data_dir: Path | str | None = None,
        prefix: str = "likes",
        shards: int = 16,
        redis_timeout: float = 5.0,
        database_timeout: float = 10.0,
        cache_ttl: float = 3600.0,
        cache_max_age: float = 86_400.0,
        early_refresh: EarlyRefresh = "per",
    ) -> None:
        """Connects to nothing yet: connections are opened when first needed. Raises InvalidInput for a wrong argument.

        redis_url: `redis://`, `rediss://` (TLS), `unix://`; for a Redis Cluster `redis+cluster://HOST:PORT,HOST:PORT`.
            Or `redis`: a redis-py client or connection pool of a single server. It is used for its address, credentials
            and TLS only: connections are the counter's own, without the client's retries, which would count a like
            twice, and without its time-outs and decoding.
        database_url: `postgresql://`, `mysql://`, `mariadb://` or `sqlite:///`; only reading totals needs it. Or
            `engine`: a synchronous Engine of SQLAlchemy. Its pool is used, its settings stay, and it is not closed.
        data_dir: the folder of the embedded Redis and SQLite, which stand in for what is not given; by default
            `$XDG_DATA_HOME/likes` or `~/.local/share/likes`.
        prefix: 1 to 64 of `A-Z a-z 0-9 _ . : -`, and `shards`: 1 to 1024; both must be those of the worker.
        redis_timeout: 0.001 to 86400 seconds, for a whole call: the wait for a free connection, sending again what was
            not answered and, in a read, the database. A call may have a `timeout` of its own. An `add` that takes
            several calls of a script may take longer, but not without an answer.
        database_timeout: 0.001 to 86400 seconds, for one transaction.
        cache_ttl, cache_max_age: seconds for which a total stays cached that is not read, and one that is.
        early_refresh: how a cached total is read anew before it ends: `per`, `gap` or `off`; see likes.live.caching.
        """
        check_one_of("redis_url", redis_url, "redis", redis)
        check_one_of("database_url", database_url, "engine", engine)
        self.prefix = check_prefix(prefix)
        self.shards = check_shards(shards)
        places = Places(
            redis=check_url("redis_url", redis_url, check_redis_url),
            database=check_url("database_url", database_url, check_database_url),
            data_dir=check_folder(data_dir),
            redis_timeout=check_seconds("redis_timeout", redis_timeout),
            database_timeout=check_seconds("database_timeout", database_timeout),
        )
        self._redis: Places | HandedRedis = places
        self._database: Places | HandedDatabase = places
        if redis is not None:
            self._redis = HandedRedis(redis, asynchronous=self.ASYNCHRONOUS, timeout=places.redis_timeout)
        if engine is not None:
            self._database = HandedDatabase(engine, timeout=places.database_timeout)
        check_word("early_refresh", early_refresh, *get_args(EarlyRefresh))
        ttl = check_seconds("cache_ttl", cache_ttl)
        max_age = check_seconds("cache_max_age", cache_max_age, YEAR_SECONDS)
        self._rules = CacheRules(ttl, max_age, early_refresh)
        self._timeout = places.redis_timeout
        self._opened = PerProcess(self._nothing_open)
        self._producers = Producers()
        self._adder = Adder(self.prefix, self.shards)

    @classmethod
    def from_settings(cls, settings: Settings | None = None) -> Self:
        """A counter as `settings` describe it; without them, as the `LIKES_*` variables and `.env` do.

        Raises SettingsError for a value that is not allowed.
        """
        from likes.config.settings import Settings

        if settings is None:
            settings = Settings.load()
        elif not isinstance(settings, Settings):
            raise InvalidInput(f"settings are of type {type(settings).__name__}; pass a Settings, or nothing")
        return cls(
            redis_url=settings.redis_url.get_secret_value() if settings.redis_url else None,
            database_url=settings.database_url.get_secret_value() if settings.database_url else None,
            data_dir=settings.data_dir,
            prefix=settings.prefix,
            shards=settings.shards,
            redis_timeout=settings.redis_timeout,
            database_timeout=settings.database_timeout,
            cache_ttl=settings.cache_ttl,
            cache_max_age=settings.cache_max_age,
            early_refresh=settings.early_refresh,
        )

    @property
    def cache_counts(self) -> CacheCounts:
        """How often this process found in the cache what it read."""
        return self._opened.get().reader.counts

    def _nothing_open(self) -> OpenedT:
        """What a process begins with."""
        raise NotImplementedError

    def _seconds(self, timeout: float | None) -> float:
        """How long a call may take."""
        return self._timeout if timeout is None else check_seconds("timeout", timeout)
