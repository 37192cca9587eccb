"""Every setting as a flag: --redis-url is LIKES_REDIS_URL. Which values are allowed, `likes.config` says.

What only `likes serve` asks for has a shorter one: --port is LIKES_HTTP_PORT.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Annotated, NamedTuple

import typer


class Flag(NamedTuple):
    """What a page of help says of a setting."""

    metavar: str
    about: str


FLAGS: Mapping[str, Flag] = {
    "redis_url": Flag("URL", "redis://, rediss:// (TLS), unix://, redis+cluster:// or redis+sentinel://"),
    "redis_name": Flag("NAME", "how the database knows this Redis; default: from its URL"),
    "database_url": Flag("URL", "postgresql://, mysql://, mariadb:// or sqlite:///FILE"),
    "data_dir": Flag("FOLDER", "where the embedded Redis and SQLite live"),
    "prefix": Flag("TEXT", "how all keys in Redis begin; default likes"),
    "shards": Flag("N", "slices the items are spread over, the same everywhere; default 16"),
    "interval": Flag("SECONDS", "time between scheduled flushes; default 300"),
    "flush_at_items": Flag("N", "flush early when so many items are pending; default 100000"),
    "batch_items": Flag("N", "items in a batch, at most; default 250"),
    "flush_threads": Flag("N", "threads that flush side by side; default 2"),
    "durability": Flag("HOW", "none, aof or replicas:N: what must have a batch before the database; default none"),
    "lease_seconds": Flag("SECONDS", "how long a worker has a shard to itself; default 30"),
    "redis_timeout": Flag("SECONDS", "how long a call to Redis may take; default 5"),
    "database_timeout": Flag("SECONDS", "how long a transaction may take; default 10"),
    "ledger_retention_days": Flag("DAYS", "how long the history is kept; default 30"),
    "notify_command": Flag("COMMAND", "run by a worker on incidents and dead letters"),
    "notify_url": Flag("URL", "called by a worker on incidents and dead letters"),
    "log_format": Flag("text|json", "how worker and API log; default text"),
    "access_log": Flag("on|off", "log a line for each request; default off"),
    "metrics_port": Flag("PORT", "serve the worker's metrics there, on HTTP_HOST; default: nowhere"),
    "cache_ttl": Flag("SECONDS", "how long a cached total is kept that nobody reads; default 3600"),
    "cache_max_age": Flag("SECONDS", "how long one is kept that is read; default 86400"),
    "cache_on_flush": Flag("HOW", "through or drop: what a flush does to cached totals; default through"),
    "early_refresh": Flag("per|gap|off", "how a cached total is read anew before it ends; default per"),
    "session_idle_seconds": Flag("TIME", "how long a session lives that is not used; default 1800"),
    "session_max_seconds": Flag("TIME", "how long a session lives at most; default 604800"),
    "api_keys": Flag("KEYS", "who may use the API off this machine; parted by commas"),
    "public_keys": Flag("KEYS", "keys for browsers: like and read, nothing else"),
    "http_host": Flag("HOST", "the address that serve listens on; default 127.0.0.1"),
    "http_port": Flag("PORT", "the port that serve listens on; default 8080; 0: any free one"),
    "http_unix_socket": Flag("FILE", "the socket that serve listens on instead"),
    "http_processes": Flag("N", "processes that serve; default 1"),
    "http_origins": Flag("ORIGINS", "sites whose pages may use the API; parted by commas"),
    "http_trusted_proxies": Flag("NETS", "whose X-Forwarded-For is believed; parted by commas"),
    "http_root_path": Flag("PATH", "under which path a proxy shows the API"),
    "rate_limit": Flag("N/TIME", "requests a client may make, such as 100/10s; default: any number"),
}

_OF_A_WORKER = ["interval", "flush_at_items", "flush_threads", "batch_items", "lease_seconds", "durability"]
_OF_HTTP = [name for name in FLAGS if name.startswith(("http_", "api_", "public_", "rate_", "session_"))]

_SHORT = {
    "http_host": "--host",
    "http_port": "--port",
    "http_unix_socket": "--unix-socket",
    "http_processes": "--processes",
}

# Setting -> its flag, as it is typed.
TYPED: Mapping[str, str] = {name: _SHORT.get(name, "--" + name.replace("_", "-")) for name in FLAGS}

# Those that a command's own page shows.
SHOWN: Mapping[str, list[str]] = {
    "worker": [*_OF_A_WORKER, "notify_command", "notify_url", "log_format", "metrics_port"],
    "serve": [*_OF_HTTP, "log_format", "access_log"],
}


def takes_settings(callback: Callable[..., None]) -> Callable[..., None]:
    """`callback` with an option for each setting in place of its `**flags`."""
    own = [each for each in signature(callback, eval_str=True).parameters.values() if each.name != "flags"]
    flags = [Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=_option(name)) for name in FLAGS]
    callback.__dict__["__signature__"] = signature(callback).replace(parameters=[own[0], *flags, *own[1:]])
    return callback


def _option(name: str) -> object:
    metavar, about = FLAGS[name]
    option = typer.Option(TYPED[name], metavar=metavar, help=about, show_default=False, rich_help_panel="Settings")
    return Annotated[str | None, option]
