"""TLS to the Sentinels and to the master: the wheel's server has none, Debian's has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from likes import AsyncLikeCounter, LikeCounter, RedisUnavailable
from tests.certificates import Certificates
from tests.running_servers import running
from tests.sentinels import SERVICE
from tests.shell import Shell
from tests.tls_servers import TlsRedis, TlsSentinel


class Guarded:
    """A master and its only Sentinel."""

    def __init__(self, certificates: Certificates) -> None:
        self.master = TlsRedis(certificates, "--tls-replication", "yes")
        self.sentinel = TlsSentinel(certificates, f"sentinel monitor {SERVICE} 127.0.0.1 {self.master.port} 1")

    @property
    def url(self) -> str:
        """With the authority and the client's certificate."""
        address, _, options = self.sentinel.url.partition("/0?")
        return f"{address.replace('rediss:', 'rediss+sentinel:')}/{SERVICE}/0?{options}"

    def start(self) -> Guarded:
        self.master.start()
        self.sentinel.start()
        return self

    def remove(self) -> None:
        self.sentinel.remove()
        self.master.remove()


@pytest.fixture
def guarded(certificates: Certificates) -> Iterator[Guarded]:
    with running(lambda: Guarded(certificates)) as guarded:
        yield guarded


def test_it_is_for_both(guarded: Guarded, tmp_path: Path) -> None:
    async def main() -> int:
        async with AsyncLikeCounter(redis_url=guarded.url, shards=1) as likes:
            return await likes.like("a")

    with LikeCounter(redis_url=guarded.url, shards=1) as likes:
        assert likes.like("a") == 1
    assert asyncio.run(main()) == 2
    assert Shell(tmp_path, redis_url=guarded.url, shards=1)("flush", "--json").json["delta"] == 2


def test_without_it_there_is_no_way_in_and_it_is_said_what_the_url_lacks(guarded: Guarded) -> None:
    plain = guarded.url.replace("rediss", "redis").partition("?")[0]
    advice = "if that port is one for TLS, the URL has to begin with rediss"
    with LikeCounter(redis_url=plain, redis_timeout=1) as likes, pytest.raises(RedisUnavailable, match=advice):
        likes.like("a")
