"""What drivers say, in one sentence: never a tuple, a code of the system, several lines, or where a second time."""

from __future__ import annotations

import psycopg
import pymysql
import pytest
import redis
from sqlalchemy.exc import OperationalError

from likes.buffer.refusals import no_connection, no_reply
from likes.errors import DatabaseUnavailable
from likes.sql.engine import open_engine, reading
from likes.sql.said import said

SEVERAL_HOSTS = """connection failed: connection to server at "127.0.0.1", port 2 failed: Connection refused
\tIs the server running on that host and accepting TCP/IP connections?
Multiple connection attempts failed. All failures were:
- host: '127.0.0.1', port: '1', hostaddr: '127.0.0.1': connection failed: connection to server at "127.0.0.1", …"""


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (psycopg.OperationalError(SEVERAL_HOSTS), "Connection refused"),
        (
            psycopg.OperationalError(
                'connection is bad: connection to server on socket "/nowhere/.s.PGSQL.5432" failed: No such file or '
                "directory\n\tIs the server running locally and accepting connections on that socket?"
            ),
            "No such file or directory",
        ),
        (
            psycopg.OperationalError(
                'connection failed: connection to server at "::1", port 5432 failed: FATAL:  password authentication '
                'failed for user "u"\nconnection to server at "::1", port 5432 failed: FATAL:  password …'
            ),
            'password authentication failed for user "u"',
        ),
        (
            psycopg.OperationalError("failed to resolve host 'h.invalid': [Errno -2] Name or service not known"),
            "failed to resolve host 'h.invalid': Name or service not known",
        ),
        (
            psycopg.errors.UniqueViolation('duplicate key violates "x"\nDETAIL:  Key (a)=(b).'),
            'duplicate key violates "x"',
        ),
        (
            pymysql.OperationalError(2003, "Can't connect to MySQL server on 'h' ([Errno 111] Connection refused)"),
            "Connection refused",
        ),
        (pymysql.OperationalError(2003, "Can't connect to MySQL server on 'h' (timed out)"), "timed out"),
        (
            pymysql.OperationalError(2013, "Lost connection to MySQL server during query"),
            "Lost connection to MySQL server during query",
        ),
        (pymysql.err.InterfaceError(0, ""), "InterfaceError"),
        (psycopg.OperationalError(), "OperationalError"),
    ],
)
def test_one_sentence(error: Exception, sentence: str) -> None:
    assert said(OperationalError("SELECT 1", None, error)) == sentence


@pytest.mark.parametrize("kind", ["postgresql", "mysql", "mariadb"])
def test_of_a_server_that_is_not_there(kind: str) -> None:
    engine = open_engine(f"{kind}://u:hunter2@127.0.0.1:1/likes", timeout=5)
    with pytest.raises(DatabaseUnavailable) as away, reading(engine):
        pass
    assert str(away.value).partition(" ")[2] == "at 127.0.0.1:1: Connection refused"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Error 111 connecting to 127.0.0.1:1. Connection refused.", "Connection refused"),
        ("Error -2 connecting to h.invalid:6379. Name or service not known.", "Name or service not known"),
        ("Error 2 connecting to /nowhere. No such file or directory.", "No such file or directory"),
        ("Connection closed by server.", "Connection closed by server"),
    ],
)
def test_of_a_redis_that_is_not_there(text: str, reason: str) -> None:
    error = no_connection(redis.exceptions.ConnectionError(text), "Redis at here", heard=True)
    assert str(error) == f"Redis at here cannot be reached: {reason}"


IS_IT_TLS, IS_IT_PLAIN = (
    "; if that port is one for TLS, the URL has to begin with rediss",
    "; if that port is one without TLS, the URL has to begin with redis",
)
CLIENT = "; if it wants a certificate of ours, name one: ssl_certfile="


@pytest.mark.parametrize(
    ("text", "reason", "advice", "over_tls"),
    [
        ("Error while reading from a:1 : (104, 'reset by peer')", "reset by peer", IS_IT_TLS, CLIENT),
        ("Error 32 while writing to socket. Broken pipe.", "Broken pipe", IS_IT_TLS, CLIENT),
        ("Connection closed by server.", "Connection closed by server", IS_IT_TLS, CLIENT),
        ("Error 8 while writing to socket. EOF occurred in violation of protocol (_ssl.c:2427).",
         "EOF occurred in violation of protocol", IS_IT_TLS, CLIENT),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)", "wrong version number", "", IS_IT_PLAIN),
        ("[SSL: RECORD_LAYER_FAILURE] record layer failure (_ssl.c:1006)", "record layer failure", "", IS_IT_PLAIN),
        ("Timeout reading from socket", "Timeout reading from socket", "", IS_IT_PLAIN),
        ("Connection refused.", "Connection refused", "", ""),
    ],
)  # fmt: skip
def test_of_a_redis_that_ends_or_says_nothing(text: str, reason: str, advice: str, over_tls: str) -> None:
    """The advice is for a server that has never answered."""
    error = redis.exceptions.ConnectionError(text)
    for where, advised in (("Redis at a:1", advice), ("Redis at a:1 over TLS", over_tls)):
        said = f"{where} did not answer: {reason}"
        assert str(no_reply(error, where, heard=True)) == said
        told = str(no_reply(error, where, heard=False))
        assert told.startswith(said + advised) and (advised or told == said)
    assert str(no_reply(error, "Redis at /socket", heard=False)) == f"Redis at /socket did not answer: {reason}"


def test_of_a_certificate_that_lacks_what_python_3_13_insists_on() -> None:
    text = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Missing Authority Key Identifier (_ssl.c:1020)"
    error = no_connection(redis.exceptions.ConnectionError(text), "Redis at a:1 over TLS", heard=True)
    assert str(error).endswith(
        "failed: Missing Authority Key Identifier; since Python 3.13 it must have that: issue it anew"
    )
