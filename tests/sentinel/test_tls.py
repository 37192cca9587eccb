"""TLS to the Sentinels and to the master: the wheel's server has none, Debian's has."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from likes import AsyncLikeCounter, LikeCounter, RedisUnavailable
from tests.sentinels import SERVICE
from tests.servers import MissingServerError, RedisServer, debian_redis
from tests.shell import Shell


class TlsServer(RedisServer):
    """Takes TLS alone, with a certificate that signed itself."""

    def __init__(self, certificate: Path, binary: str, *options: str) -> None:
        super().__init__(binary, *options)
        self.certificate = str(certificate)

    def tls(self) -> dict[str, str]:
        files = {"cert-file": self.certificate, "key-file": self.certificate, "ca-cert-file": self.certificate}
        return {f"tls-{name}": value for name, value in files.items()} | {
            "tls-port": str(self.port),
            "tls-auth-clients": "no",
            "tls-replication": "yes",
        }

    def command(self) -> list[str]:
        options = [word for name, value in self.tls().items() for word in (f"--{name}", value)]
        return [*super().command(), "--port", "0", *options]

    def answers(self) -> bool:
        try:
            trusting = {"ssl": True, "ssl_ca_certs": self.certificate}
            with redis.Redis("127.0.0.1", self.port, **trusting, socket_timeout=1, retry=None) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


class TlsSentinel(TlsServer):
    """The same as a Sentinel."""

    def __init__(self, certificate: Path, binary: str, master: int) -> None:
        super().__init__(certificate, binary)
        options = "\n".join(f"{name} {value}" for name, value in self.tls().items())
        monitor = f"sentinel monitor {SERVICE} 127.0.0.1 {master} 1"
        (self.folder / "sentinel.conf").write_text(f"port 0\nbind 127.0.0.1\n{options}\n{monitor}\n")

    def command(self) -> list[str]:
        return [self.binary, str(self.folder / "sentinel.conf"), "--sentinel"]


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The URL, which trusts the certificate."""
    try:
        binary = debian_redis().binary
    except MissingServerError as missing:
        pytest.skip(str(missing))
    certificate = tmp_path / "both.pem"
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    made = ("-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", certificate, "-out")
    signed = subprocess.run(["openssl", *new, *made, "-"], check=True, capture_output=True, text=True).stdout
    with certificate.open("a") as both:
        both.write(signed)
    server = TlsServer(certificate, binary)
    sentinel = TlsSentinel(certificate, binary, server.port)
    try:
        server.start()
        sentinel.start()
        yield f"rediss+sentinel://127.0.0.1:{sentinel.port}/{SERVICE}/0?ssl_ca_certs={certificate}"
    finally:
        sentinel.remove()
        server.remove()


def test_it_is_for_both(url: str, tmp_path: Path) -> None:
    async def main() -> int:
        async with AsyncLikeCounter(redis_url=url, shards=1) as likes:
            return await likes.like("a")

    with LikeCounter(redis_url=url, shards=1) as likes:
        assert likes.like("a") == 1
    assert asyncio.run(main()) == 2
    assert Shell(tmp_path, redis_url=url, shards=1)("flush", "--json").json["delta"] == 2
    plain = url.replace("rediss", "redis").partition("?")[0]
    with LikeCounter(redis_url=plain, redis_timeout=1) as likes, pytest.raises(RedisUnavailable):
        likes.like("a")
