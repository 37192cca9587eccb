"""Options on TLS in a URL of MySQL: each does what it says, none turns another off."""

from __future__ import annotations

import ssl
from typing import Any

import pymysql
import pytest
from pip._vendor import certifi

from likes.sql.dialects import dialect_of
from likes.sql.urls import parse_url

CA = certifi.where()


def made_of(options: str) -> Any:
    """PyMySQL's connection, which connects to nothing."""
    url = parse_url(f"mysql://127.0.0.1/likes?{options}")
    driver = url.get_dialect()(dbapi=pymysql)
    _, arguments = driver.create_connect_args(url)
    connect = dialect_of(url).engine_options(url, 5)["connect_args"]
    return pymysql.Connection(**{**arguments, **connect, "defer_connect": True})


@pytest.mark.parametrize(
    ("options", "required", "verified", "named"),
    [
        ("charset=utf8mb4", False, ssl.CERT_NONE, False),
        (f"ssl_ca={CA}", True, ssl.CERT_REQUIRED, True),
        (f"ssl_ca={CA}&ssl_verify_identity=true", True, ssl.CERT_REQUIRED, True),
        (f"ssl_ca={CA}&ssl_verify_identity=false", True, ssl.CERT_REQUIRED, False),
        (f"ssl_ca={CA}&ssl_check_hostname=false", True, ssl.CERT_REQUIRED, False),
        (f"ssl_ca={CA}&ssl_verify_cert=false&ssl_check_hostname=no", True, ssl.CERT_NONE, False),
        ("ssl_verify_cert=true", True, ssl.CERT_REQUIRED, False),
        (f"ssl_ca={CA}&ssl_disabled=false", True, ssl.CERT_REQUIRED, True),
    ],
)
def test_a_server_is_verified_as_the_options_say(
    options: str, required: bool, verified: ssl.VerifyMode, named: bool
) -> None:
    made = made_of(options)
    assert (made.ssl, made._ssl_required) == (True, required)
    assert (made.ctx.verify_mode, made.ctx.check_hostname) == (verified, named)


def test_tls_is_off_where_that_is_said() -> None:
    assert not made_of("ssl_disabled=true").ssl
