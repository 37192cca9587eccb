"""A redis-py client or pool handed in instead of a URL: where it leads counts, and nothing else of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis.asyncio
from redis.cache import CacheConfig
from redis.credentials import UsernamePasswordCredentialProvider

from likes import AsyncLikeCounter, LikeCounter, RedisUnavailable
from likes.buffer.scripts import ADD
from tests.certificates import Certificates
from tests.proxy import Proxy
from tests.servers import PASSWORD, RedisServer
from tests.tls_servers import TlsRedis

OwnValkey = Callable[..., RedisServer]


@pytest.fixture
def server(own_valkey: OwnValkey) -> RedisServer:
    """With a socket in its folder, and a user of a name."""
    server = own_valkey("--unixsocket", "socket")
    with redis.Redis.from_url(server.url) as admin:
        admin.acl_setuser("someone", enabled=True, passwords=[f"+{PASSWORD}"], keys="*", commands=["+@all"])
    return server


# `kind` is the module `redis` or `redis.asyncio`, which have the same names.
CLIENTS: dict[str, Callable[[Any, RedisServer], Any]] = {
    "client": lambda kind, server: kind.Redis.from_url(server.url),
    "decoding": lambda kind, server: kind.Redis.from_url(server.url, decode_responses=True, encoding="latin-1"),
    "RESP3": lambda kind, server: kind.Redis.from_url(server.url, protocol=3),
    "another database": lambda kind, server: kind.Redis(port=server.port, db=1),
    "pool": lambda kind, server: kind.ConnectionPool.from_url(server.url, max_connections=1),
    "blocking pool": lambda kind, server: kind.BlockingConnectionPool.from_url(server.url, max_connections=1),
    "client with a pool": lambda kind, server: kind.Redis(
        connection_pool=kind.BlockingConnectionPool.from_url(server.url)
    ),
    "unix socket": lambda kind, server: kind.Redis(unix_socket_path=str(server.folder / "socket")),
    "user": lambda kind, server: kind.Redis(port=server.port, username="someone", password=PASSWORD),
    "credentials": lambda kind, server: kind.Redis(
        port=server.port, credential_provider=UsernamePasswordCredentialProvider("someone", PASSWORD)
    ),
}


@pytest.mark.parametrize("name", CLIENTS)
def test_any_client_of_threads_will_do(name: str, server: RedisServer) -> None:
    check(CLIENTS[name](redis, server))


@pytest.mark.parametrize("name", CLIENTS)
def test_any_client_of_asyncio_will_do(name: str, server: RedisServer) -> None:
    async def main() -> None:
        client = CLIENTS[name](redis.asyncio, server)
        await check_async(client)
        await (client.connection_pool if isinstance(client, redis.asyncio.Redis) else client).disconnect()

    asyncio.run(main())


def test_a_client_of_a_single_connection_will_do(server: RedisServer) -> None:
    check(redis.Redis(port=server.port, single_connection_client=True))


def test_a_client_with_a_cache_of_its_own_will_do(server: RedisServer) -> None:
    """Not asked anything itself: redis-py refuses caches of servers that call themselves older than 7.4."""
    with LikeCounter(redis=redis.Redis.from_url(server.url, protocol=3, cache_config=CacheConfig())) as likes:
        assert likes.like("video:1", 3) == 3


def check(client: Any) -> None:
    """A counter counts where the client leads, and the client is none the worse for it."""
    asked = client if isinstance(client, redis.Redis) else redis.Redis(connection_pool=client)
    with LikeCounter(redis=client, shards=1) as likes:
        assert likes.like("vidéo", 3) == 3
        assert likes.pending("vidéo") == 3
        epoch = text(asked.get("{likes:0}:epoch"))
        assert text(asked.get(f"{{likes:0}}:{epoch}:delta:likes:vidéo".encode())) == "3"
    assert text(asked.get("{likes:0}:epoch")) == epoch
    asked.close()


async def check_async(client: Any) -> None:
    asked = client if isinstance(client, redis.asyncio.Redis) else redis.asyncio.Redis(connection_pool=client)
    async with AsyncLikeCounter(redis=client, shards=1) as likes:
        assert await likes.like("vidéo", 3) == 3
        assert await likes.pending("vidéo") == 3
        epoch = text(await asked.get("{likes:0}:epoch"))
        assert text(await asked.get(f"{{likes:0}}:{epoch}:delta:likes:vidéo".encode())) == "3"
    assert text(await asked.get("{likes:0}:epoch")) == epoch


def text(reply: Any) -> str:
    return reply.decode() if isinstance(reply, bytes) else str(reply)


# TLS.


@pytest.mark.parametrize("kind", [redis, redis.asyncio], ids=["threads", "asyncio"])
def test_a_client_with_tls_will_do(tls_redis: TlsRedis, certificates: Certificates, kind: Any) -> None:
    options = {**tls_redis.client_options, "ssl_cert_reqs": "required", "ssl_ca_certs": certificates["authority.pem"]}
    client = kind.Redis(**options, host="127.0.0.1")
    if kind is redis:
        check(client)
        return

    async def main() -> None:
        async with client:
            await check_async(client)

    asyncio.run(main())


def test_a_client_that_trusts_another_certificate_is_refused_by_its_own_rules(tls_redis: TlsRedis) -> None:
    options = {**tls_redis.client_options, "ssl_cert_reqs": "required"}
    with (
        LikeCounter(redis=redis.Redis(**options, host="127.0.0.1")) as likes,
        pytest.raises(RedisUnavailable, match="over TLS cannot be reached: certificate verify failed"),
    ):
        likes.like("video:1")


# What is not taken over.


@pytest.fixture
def proxy(valkey_url: str) -> Iterator[Proxy]:
    with Proxy(valkey_url) as proxy:
        yield proxy


def test_a_like_whose_reply_is_lost_counts_once_where_the_client_itself_counts_twice(
    valkey_url: str, proxy: Proxy
) -> None:
    client = redis.Redis(port=urlsplit(proxy.url).port)  # which tries ten times more by default
    proxy.lose_reply_to("INCRBY")
    assert client.incrby("a count", 5) == 10
    client.delete("a count")
    with LikeCounter(redis=client, redis_timeout=1) as likes:
        likes.like("warm")
        proxy.lose_reply_to(ADD.sha)
        assert likes.like("video:1", 5) == 5
    assert proxy.lost == 2
    client.close()


def test_an_async_like_whose_reply_is_lost_counts_once_where_the_client_itself_counts_twice(
    valkey_url: str, proxy: Proxy
) -> None:
    async def main() -> None:
        async with redis.asyncio.Redis(port=urlsplit(proxy.url).port) as client:
            proxy.lose_reply_to("INCRBY")
            assert await client.incrby("a count", 5) == 10
            await client.delete("a count")
            async with AsyncLikeCounter(redis=client, redis_timeout=1) as likes:
                await likes.like("warm")
                proxy.lose_reply_to(ADD.sha)
                assert await likes.like("video:1", 5) == 5

    asyncio.run(main())
    assert proxy.lost == 2


def test_the_time_out_is_the_counters_own(own_valkey: OwnValkey) -> None:
    server = own_valkey()
    client = redis.Redis.from_url(server.url, socket_timeout=None, socket_connect_timeout=None)
    with LikeCounter(redis=client, redis_timeout=0.2) as likes:
        likes.like("video:1")
        server.pause()
        began = monotonic()
        with pytest.raises(RedisUnavailable, match=f"127.0.0.1:{server.port} did not answer"):
            likes.pending("video:1")
        assert monotonic() - began < 5
        server.resume()
