"""What a URL switches off of what TLS is for."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs

from likes.config.url_options import FLAGS
from worker.checks.finding import Finding, Level

NAME = "redis tls"


def check_encryption(redis_url: str | None) -> Iterator[Finding]:
    """A warning if whoever answers is taken for Redis, and so is told the password and every like."""
    given = {name: values[0] for name, values in parse_qs((redis_url or "").partition("?")[2]).items()}
    if given.get("ssl_cert_reqs") == "none":
        found = "ssl_cert_reqs=none: no certificate is looked at, so anybody in between may read and change everything"
        fix = "take it out of LIKES_REDIS_URL, and name the authority that the server's certificate is of: ssl_ca_certs"
        yield Finding(Level.WARNING, NAME, found, fix)
    elif not FLAGS[given.get("ssl_check_hostname", "yes").lower()]:
        found = "ssl_check_hostname=no: any certificate of a trusted authority will do, whichever host it is for"
        yield Finding(
            Level.WARNING, NAME, found, "take it out of LIKES_REDIS_URL, with the host as its certificate has it"
        )
