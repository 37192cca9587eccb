"""URLs: what is shown of them, what a Redis is called, and which ones are refused."""

from __future__ import annotations

from inspect import signature
from pathlib import Path

import psycopg
import pymysql
import pytest
import redis
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st

from likes import InvalidInput, LikeCounter
from likes.config.cluster_url import read_cluster_url
from likes.config.sentinel_url import read_sentinel_url
from likes.config.settings import Settings
from likes.config.url_options import MYSQL, POSTGRESQL, REDIS, REDISS
from likes.config.urls import address_of, check_database_url, check_redis_url, mask, name_of, user_of
from likes.errors import SettingsError


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
        ("redis+cluster://user:secret@a:1,b:2", "redis+cluster://user:***@a:1,b:2"),
        ("redis+sentinel://a/m?sentinel_password=secret&db=1", "redis+sentinel://a/m?sentinel_password=***&db=1"),
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
        ("redis+cluster://user:secret@b:7001,A,b:7000", "a:6379,b:7000,b:7001"),
        ("rediss+cluster://b:7000,[2001:db8::1]:7000/0?ssl_cert_reqs=none", "[2001:db8::1]:7000,b:7000"),
        ("redis+sentinel://user:secret@b:7001,A,127.0.0.1/mymaster", "mymaster/0"),
        ("rediss+sentinel://a/my%2Fmaster/3?sentinel_password=secret", "my/master/3"),
        ("redis+sentinel://a/mymaster/3?db=4", "mymaster/4"),
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
        ("redis+cluster://host:7000,127.0.0.1:7001", "127.0.0.1:7001,host:7000"),
        ("redis+sentinel://127.0.0.1:7000,localhost/mymaster", "mymaster/0"),
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


@pytest.mark.parametrize(
    ("url", "node"),
    [
        ("redis+cluster://a:1,b:2", "redis://c:3"),
        ("redis+cluster://user:p%40ss@a:1", "redis://user:p%40ss@c:3"),
        ("rediss+cluster://:pw@a:1/0?ssl_cert_reqs=none", "rediss://:pw@c:3?ssl_cert_reqs=none"),
    ],
)
def test_each_node_of_a_cluster_is_connected_to_as_the_url_says(url: str, node: str) -> None:
    check_redis_url(url)
    assert read_cluster_url(url).url_of("c", 3) == node


@pytest.mark.parametrize(
    ("url", "server", "sentinel"),
    [
        ("redis+sentinel://a:1,b/m", "redis://c:3/0", "redis://c:3"),
        ("redis+sentinel://me:p%40s@a/m/2", "redis://me:p%40s@c:3/2", "redis://c:3"),
        (
            "redis+sentinel://me:pw@a/m/2?sentinel_username=s&sentinel_password=a%2Bb&db=4",
            "redis://me:pw@c:3/4",
            "redis://c:3?username=s&password=a%2Bb",
        ),
        (
            "rediss+sentinel://a/m?username=me&password=pw&ssl_cert_reqs=none",
            "rediss://c:3/0?username=me&password=pw&ssl_cert_reqs=none",
            "rediss://c:3?ssl_cert_reqs=none",
        ),
    ],
)
def test_sentinels_are_told_nothing_that_is_for_the_servers(url: str, server: str, sentinel: str) -> None:
    check_redis_url(url)
    assert read_sentinel_url(url).url_of("c", 3) == server
    assert read_sentinel_url(url).url_of_sentinel("c", 3) == sentinel


def test_a_sentinel_without_a_port_listens_on_its_usual_one() -> None:
    assert read_sentinel_url("redis+sentinel://A,[2001:db8::1]:7/m").nodes == [("a", 26379), ("2001:db8::1", 7)]


@pytest.mark.parametrize(
    ("url", "user"),
    [
        ("redis://host", "default"),
        ("redis://:pw@host", "default"),
        ("redis+cluster://m%65:pw@[::1]:1,b:2", "me"),
        ("rediss://host?username=me&password=se@cret", "me"),
        ("redis+sentinel://me:pw@a,b/m?sentinel_username=other", "me"),
    ],
)
def test_the_user_that_redis_is_told(url: str, user: str) -> None:
    assert user_of(url) == user


def test_a_socket_has_one_name_whichever_link_leads_to_it(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert name_of(f"unix://{tmp_path}/link/redis.sock") == name_of(f"unix://{tmp_path}/real/redis.sock")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis+sentinel://a:1,b:2", "does not say what the Sentinels call the master.*; allowed: redis\\+sentinel://"),
        ("redis+sentinel://a:1,b:2/service/zero", "does not say what"),
        ("redis+sentinel://a:1/service/0/1", "does not say what"),
        ("redis+sentinel://a:1/ser%20vice/0", "does not say what"),
        ("redis+sentinel://a:1/service?db=x", "the database is no number"),
        (
            "redis+sentinel://a:1,b:0/service",
            "does not parse; allowed: redis\\+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB",
        ),
        ("redis+sentinel://user:p#w@a:1/service", "# %23"),
        ("redis+sentinel://a:1/service?sentinel_pasword=x", "did you mean sentinel_password"),
        ("redis+sentinel://a:1/service?ssl_cert_reqs=none", "the option 'ssl_cert_reqs', which it cannot have"),
        ("redis+cluster://a:1?sentinel_password=x", "the option 'sentinel_password', which it cannot have"),
        ("redis+cluster://", "does not parse; allowed: redis\\+cluster://HOST:PORT,HOST:PORT"),
        ("redis+cluster://a:1,,b:2", "does not parse"),
        ("redis+cluster://a:1,b:0", "does not parse"),
        ("redis+cluster://a:1,b:65536", "PORT from 1 to 65535"),
        ("redis+cluster://user:p#w@a:1", "# %23"),
        ("redis+cluster://a:1/1", "a Redis Cluster has just number 0"),
        ("redis+cluster://a:1?db=1", "a Redis Cluster has just number 0"),
        ("redis+cluster://a:1?retry_on_timeout=yes", "the option 'retry_on_timeout', which it cannot have"),
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
        ("redis://host:99999", "PORT from 1 to 65535"),
        ("redis://host?retry_on_timeout=yes", r"the option 'retry_on_timeout', which it cannot have; allowed: db, "),
        ("redis://host?ssl_cert_reqs=none", "the option 'ssl_cert_reqs'"),
        ("redis://host?dbb=1", r"the option 'dbb', which it cannot have \(did you mean db\?\)"),
        ("redis://host?db=1&db=2", "its option db is given twice"),
        ("rediss://host?ssl_cert_req=none", r"'ssl_cert_req', .*did you mean ssl_cert_reqs\?"),
        ("rediss://host?ssl_cert_reqs=some", "its option ssl_cert_reqs is 'some'; allowed: none, optional, required"),
        ("rediss://host?ssl_ca_certs=/missing.pem", "its option ssl_ca_certs is '/missing.pem'; allowed: the path of"),
        ("rediss://host?ssl_check_hostname=", "its option ssl_check_hostname is ''; allowed: true, "),
        ("unix:///redis.sock?timeout=5", "the option 'timeout'"),
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


OPTIONS = [
    ("postgresql://host/likes?sslmod=require", r"the option 'sslmod', which it cannot have \(did you mean sslmode\?\)"),
    ("postgresql://host/likes?sslmode=bogus", "its option sslmode is 'bogus'; allowed: disable, allow, "),
    ("postgresql://host/likes?sslrootcert=/missing.pem", "its option sslrootcert is '/missing.pem'; allowed: the path"),
    ("postgresql://host/likes?connect_timeout=soon", "its option connect_timeout is 'soon'; allowed: a whole number"),
    ("postgresql://host/likes?target_session_attrs=write", "its option target_session_attrs"),
    ("postgresql://host/likes?require_auth=scram", "its option require_auth"),
    ("postgresql://host/likes?sslmode=require&sslmode=disable", "its option sslmode is given twice"),
    ("postgresql://host/likes?plugin=echo", "the option 'plugin'"),
    ("postgresql://host/likes?autocommit=true", "the option 'autocommit'"),
    ("postgresql://host:99999/likes", "its port is 99999; allowed: 1 to 65535"),
    ("mysql://host:0/likes", "its port is 0; allowed: 1 to 65535"),
    ("mysql://host/likes?sslmode=require", "the option 'sslmode', .*allowed: bind_address, .*ssl_ca, "),
    ("mysql://host/likes?ssl_ca=/missing.pem", "its option ssl_ca is '/missing.pem'; allowed: the path of a file"),
    ("mariadb://host/likes?ssl_disabled=off", "its option ssl_disabled is 'off'; allowed: true, "),
    ("mariadb://host/likes?init_command=DROP", "the option 'init_command'"),
    ("sqlite:////likes.db?mode=ro", "the option 'mode', which it cannot have.*; allowed: uri"),
    ("sqlite:///file:/likes.db?uri=true&mode=memory", "its option mode is 'memory'; allowed: ro, rw, rwc"),
    ("sqlite:///file:/likes.db?uri=true&nolock=1", "the option 'nolock'"),
    ("sqlite:////likes.db?timeout=long", "the option 'timeout'"),
]


@pytest.mark.parametrize(("url", "reason"), OPTIONS)
def test_an_option_that_is_wrong_is_named_before_anything_is_connected_to(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_database_url(url)
    with pytest.raises(InvalidInput, match=reason):
        LikeCounter(database_url=url)
    with pytest.raises(SettingsError, match=f"LIKES_DATABASE_URL is .*{reason}"):
        Settings.load(database_url=url)


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("redis://user:hal?f=1@host/0", "hal"),
        ("redis://user:123?f=1@host/0", "'f'"),
        ("postgresql://user:123?f=1@host/likes", "'f'"),
    ],
)
def test_half_a_password_is_not_quoted_as_an_option(url: str, secret: str) -> None:
    check = check_redis_url if url.startswith("redis") else check_database_url
    with pytest.raises(ValueError, match="allowed") as caught:
        check(url)
    assert secret not in str(caught.value)


def test_the_drivers_know_all_options_we_let_through() -> None:
    of_postgresql = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    assert POSTGRESQL.keys() <= of_postgresql
    assert of_postgresql - POSTGRESQL.keys() == {"replication"}  # another protocol
    by_sqlalchemy = {"ssl_capath", "ssl_cipher", "ssl_check_hostname"}
    assert MYSQL.keys() <= {*signature(pymysql.connect).parameters, *by_sqlalchemy}
    for link in (redis.SSLConnection, redis.asyncio.SSLConnection):
        assert REDISS.keys() - REDIS.keys() <= signature(link.__init__).parameters.keys()


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
