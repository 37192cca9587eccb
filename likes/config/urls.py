"""URLs of servers: checked, shown without their passwords, and turned into the name of the Redis they lead to."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from ipaddress import ip_address
from socket import gethostname
from urllib.parse import SplitResult, parse_qs, unquote, unquote_to_bytes, urlsplit

from likes.config import cluster_url, sentinel_url
from likes.config.cluster_url import check_cluster_url, is_cluster_url, read_cluster_url
from likes.config.nodes_url import IN_PASSWORDS
from likes.config.sentinel_url import check_sentinel_url, is_sentinel_url, read_sentinel_url
from likes.config.tls_options import check_tls_options
from likes.config.url_options import MYSQL, POSTGRESQL, REDIS, REDISS, SQLITE, SQLITE_URI, Check, check_options

# Up to the last `@`, whatever stands before it: a password with `/`, `#` or `@` left unescaped is still one.
_PASSWORD = re.compile(r"^((?:[a-z0-9+.-]+://)?+[^:]*):.*@", re.IGNORECASE | re.DOTALL)
# Of a URL shown in a message, what follows `***'` is the message.
_SECRET_PARAMETER = re.compile(r"([?&][^=&]*(?:pass|pwd|secret|token)[^=&]*=)(?!\*{3}['…])[^&]*", re.IGNORECASE)
LAST_PORT = 65535
LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107  # what the kernel has room for
_REDIS = "redis://HOST:PORT/DB, rediss://HOST:PORT/DB (TLS) or unix:///PATH/TO/SOCKET?db=DB"
_ANY_REDIS = f"{_REDIS}; for a Redis Cluster, {cluster_url.ALLOWED}; for Sentinels, {sentinel_url.ALLOWED}"
_DATABASE = re.compile(
    r"sqlite(\+pysqlite)?:///(?!:memory:)[^?].*"
    r"|(postgres|postgresql(\+psycopg)?|(mysql|mariadb)(\+pymysql)?)://(.*@)?(\[[^]/?]+]|[^]\[:/?@]*)"
    r"(:(?P<port>\d+))?/[^?].*",
    re.DOTALL,
)
_QUERY = re.compile(r"[^:]+://(?:.*@)?[^?@]*\?(.*)", re.DOTALL)


def mask(url: str) -> str:
    """`url` with `***` for its password, in front of the host or among the parameters; never fails."""
    return _PASSWORD.sub(r"\1:***@", _SECRET_PARAMETER.sub(r"\1***", url))


def origin_of(url: str) -> str:
    """Where an HTTP URL leads, without what is secret in many: user, password, path and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"


def name_of(redis_url: str) -> str:
    """The name of the Redis behind a URL: `host:port/db`, or `unix:/real/path?db=0`; never credentials. That of a
    cluster is `host:port` of each node the URL has, sorted; that of a master which Sentinels watch is `service/db`,
    whichever of them the URL has.

    URLs that differ only in user, password or TLS have the same name. Where the address means another Redis on every
    host, `@` and the name of this host end it. Raises ValueError for a URL that leads nowhere.
    """
    address = address_of(redis_url)
    if is_cluster_url(redis_url):
        is_local = any(map(_is_of_this_host, read_cluster_url(redis_url).hosts))
    elif is_sentinel_url(redis_url):  # one of several may well run beside each client
        is_local = all(map(_is_of_this_host, read_sentinel_url(redis_url).hosts))
    else:
        is_local = _is_local(_split(redis_url))
    return f"{address}@{gethostname()}" if is_local else address


def user_of(redis_url: str) -> str:
    """The user that Redis is told."""
    netloc = redis_url.partition("://")[2].partition("/")[0].partition("?")[0]
    query = parse_qs(redis_url.partition("?")[2])
    return unquote(netloc.rpartition("@")[0].partition(":")[0]) or query.get("username", ["default"])[0]


def address_of(redis_url: str) -> str:
    """The name without that of the host, as it was written down at first. Raises ValueError."""
    if is_cluster_url(redis_url):
        return read_cluster_url(redis_url).address
    if is_sentinel_url(redis_url):
        return read_sentinel_url(redis_url).name
    parts = _split(redis_url)
    if parts.scheme == "unix":
        return f"unix:{os.path.realpath(unquote(parts.path))}?db={_number(parts)}"
    host = _host(parts)
    return f"{f'[{host}]' if ':' in host else host}:{parts.port or 6379}/{_number(parts)}"


def check_redis_url(url: str) -> str:
    """Return `url` if this version can connect to it; raise ValueError saying what is allowed otherwise."""
    scheme, separator, _ = url.partition("://")
    if is_cluster_url(url):
        check_cluster_url(url)
        return url
    if is_sentinel_url(url):
        check_sentinel_url(url)
        return url
    if scheme not in ("redis", "rediss", "unix") or not separator:
        raise ValueError(f"allowed: {_ANY_REDIS}")
    parts = _split(url)
    _number(parts)
    if scheme == "unix" and not parts.path.strip("/"):
        raise ValueError("it names no socket; allowed: unix:///PATH/TO/SOCKET?db=DB")
    if scheme == "unix" and (length := len(unquote_to_bytes(parts.path))) > LONGEST_SOCKET:
        raise ValueError(
            f"the path of its socket has {length} bytes; allowed: at most {LONGEST_SOCKET}, such as a link"
        )
    # redis-py has others, which change what a resend means (`retry_on_timeout`) or are settings of ours.
    check_options(parts.query, REDISS if scheme == "rediss" else REDIS)
    if scheme == "rediss":
        check_tls_options(parts.query)
    return url


def check_database_url(url: str) -> str:
    """Return `url` if it is one of a kind of database that is supported, and names one; raise ValueError otherwise."""
    parts = _DATABASE.fullmatch(url)
    if not parts:
        raise ValueError("allowed: sqlite:////PATH/FILE, (postgresql|mysql|mariadb)://HOST:PORT/NAME")
    port = parts["port"]
    if port and not 1 <= int(port[:9]) <= LAST_PORT:
        raise ValueError(f"its port is {port}; allowed: 1 to {LAST_PORT}")
    query = _QUERY.fullmatch(url)
    check_options(query[1] if query else "", _options_of(url), repeated=("host", "port"))
    return url


def _options_of(url: str) -> Mapping[str, Check]:
    if url.startswith("postgres"):
        return POSTGRESQL
    if not url.startswith("sqlite"):
        return MYSQL
    return SQLITE_URI if re.search(r"[?&]uri=", url) else SQLITE


def _split(url: str) -> SplitResult:
    """The parts of a URL. Why it has none is not quoted, as the reason may hold half a password."""
    try:
        parts = urlsplit(url)
        if parts.port != 0:
            return parts
    except ValueError:
        pass
    raise ValueError(f"it does not parse; allowed: {_REDIS}, PORT from 1 to {LAST_PORT}; {IN_PASSWORDS}")


def _host(parts: SplitResult) -> str:
    return unquote(parts.hostname or "localhost")


def _is_local(parts: SplitResult) -> bool:
    return parts.scheme == "unix" or _is_of_this_host(_host(parts))


def _is_of_this_host(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _number(parts: SplitResult) -> int:
    """The database number, which redis-py reads from `?db=`, else from the path after a host."""
    path = "" if parts.scheme == "unix" else unquote(parts.path).strip("/")
    number = parse_qs(parts.query).get("db", [path or "0"])[0]
    if not re.fullmatch(r"[0-9]{1,5}", number):
        raise ValueError("the database is no number; allowed: 0, 1, 2 …")
    return int(number)
