"""URLs: what is shown of them, what a Redis is called, and which ones are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likes.config.urls import address_of, check_database_url, check_redis_url, mask, name_of


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://user:secret@host/0", "redis://user:***@host/0"),
        ("redis://:secret@host", "redis://:***@host"),
        ("redis://host?password=secret&db=1", "redis://host?password=***&db=1"),
        ("redis://host:6379?password=se@cret", "redis://host:6379?password=***"),
        ("rediss://host?ssl_password=secret", "rediss://host?ssl_password=***"),
        ("redis://user:se/cr@e#t?@host", "redis://user:***@host"),
        ("user:secret@host", "user:***@host"),
        ("redis:secret@host", "redis:***@host"),
        ("postgresql://me@corp:secret@host/db", "postgresql://me@corp:***@host/db"),
        ("postgresql:///db?user=me&password=secret", "postgresql:///db?user=me&password=***"),
        ("unix:///home/me@work/redis.sock", "unix:///home/me@work/redis.sock"),
        ("sqlite:////home/me@work/likes.db", "sqlite:////home/me@work/likes.db"),
        ("", ""),
    ],
)
def test_no_password_is_shown(url: str, shown: str) -> None:
    assert mask(url) == shown


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.sampled_from(["redis", "mysql+pymysql"]))
def test_no_password_is_shown_however_it_is_written(password: str, scheme: str) -> None:
    assert mask(f"{scheme}://user:{password}@host/0") == f"{scheme}://user:***@host/0"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://user:secret@Host", "host:6379/0"),
        ("rediss://host:6379/0?ssl_cert_reqs=none", "host:6379/0"),
        ("redis://host/3", "host:6379/3"),
        ("redis://host/3?db=4", "host:6379/4"),
        ("redis://[2001:db8::1]:7000", "[2001:db8::1]:7000/0"),
    ],
)
def test_the_name_of_a_redis(url: str, name: str) -> None:
    assert name_of(url) == address_of(url) == name


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://:secret@/1", "localhost:6379/1"),
        ("redis://LOCALHOST", "localhost:6379/0"),
        ("redis://redis.localhost", "redis.localhost:6379/0"),
        ("redis://127.1.2.3", "127.1.2.3:6379/0"),
        ("redis://[::1]:7000", "[::1]:7000/0"),
        ("unix:///nowhere/a%20b.sock?db=2", "unix:/nowhere/a b.sock?db=2"),
        ("unix://user:secret@/nowhere/redis.sock", "unix:/nowhere/redis.sock?db=0"),
    ],
)
def test_an_address_that_every_host_has_is_named_with_the_host(
    url: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likes.config.urls.gethostname", lambda: "web-1")
    assert address_of(url) == address
    assert name_of(url) == f"{address}@web-1"


def test_a_socket_has_one_name_whichever_link_leads_to_it(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert name_of(f"unix://{tmp_path}/link/redis.sock") == name_of(f"unix://{tmp_path}/real/redis.sock")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis+cluster://a:1,b:2", "does not connect to Redis Cluster or Sentinel yet"),
        ("redis+sentinel://a:1,b:2/service/0", "does not connect to Redis Cluster or Sentinel yet"),
        ("http://host", "allowed: redis://"),
        ("localhost:6379", "allowed: redis://"),
        ("redis:host", "allowed: redis://"),
        ("redis://host:port", "does not parse"),
        ("redis://host:65536", "does not parse"),
        ("redis://host:0", "does not parse"),
        ("redis://[::1", "does not parse"),
        ("redis://host/zero", "the database is no number"),
        ("redis://host?db=-1", "the database is no number"),
        ("unix://", "names no socket"),
        ("redis://host?retry_on_timeout=yes", "the parameters allowed"),
        ("redis://host?ssl_cert_reqs=none", "the parameters allowed"),
    ],
)
def test_a_redis_url_that_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_redis_url(url)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=4))
def test_a_refusal_does_not_quote_the_password(password: str) -> None:
    said = ""
    try:
        check_redis_url(f"redis://user:{password}@host/x")
    except ValueError as error:
        said = str(error)
    assert f"{password}@" not in said


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/likes.db",
        "sqlite:///likes.db",
        "postgresql://user:se/cr@et@host:5432/likes",
        "postgresql+psycopg://[::1]/likes?sslmode=require",
        "postgres://host/likes",
        "mysql://host/likes",
        "mariadb+pymysql://user@host/likes",
    ],
)
def test_a_database_url_that_is_allowed(url: str) -> None:
    assert check_database_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "oracle://host/likes",
        "postgresql+asyncpg://host/likes",
        "postgresql://host",
        "postgresql://host/",
        "postgresql://host:port/likes",
        "likes.db",
    ],
)
def test_a_database_url_that_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="allowed: sqlite"):
        check_database_url(url)
