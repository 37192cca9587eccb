"""What every database must do alike: names as bytes, exact sums, and errors told apart."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import Engine, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from likes.deltas import MAX_DELTA, MIN_DELTA, Delta, Deltas
from likes.errors import DatabaseUnavailable, SchemaOutdated, SettingsError
from likes.sql.dialects import dialect_of
from likes.sql.engine import open_engine, reading, writing
from likes.sql.schema import migrate
from likes.sql.tables import batches, incidents, totals
from likes.sql.urls import describe

NOW = datetime(2026, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)
SECRET = "s3cr%40t"

E_ACUTE = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
NAMES = [
    "A",
    "a",
    "x",
    "x ",
    "X",
    *E_ACUTE,
    "e",
    "😀",
    "'",
    '"',
    "\\",
    "\\'",
    "%s",
    "%(a)s",
    ":a",
    "{}",
    ",",
    "NULL",
    "ß",
    "ss",
]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url, timeout=5)
    migrate(engine)
    yield engine
    engine.dispose()


@contextmanager
def impatient(engine: Engine) -> Iterator[Engine]:
    """The same database with a short time-out."""
    other = open_engine(engine.url.render_as_string(hide_password=False), timeout=0.3)
    yield other
    other.dispose()


def add(engine: Engine, *deltas: Delta, now: datetime = NOW) -> None:
    with writing(engine) as connection:
        dialect_of(connection).add_to_totals(connection, Deltas.of(deltas), now)


def all_totals(engine: Engine) -> dict[tuple[str, str], int]:
    with reading(engine) as connection:
        rows = connection.execute(select(totals.c.counter, totals.c.item, totals.c.total))
        return {(row.counter, row.item): row.total for row in rows}


def is_server(engine: Engine) -> bool:
    return engine.url.host is not None


def test_an_upsert_adds(engine: Engine) -> None:
    add(engine, Delta("likes", "a", 5), Delta("likes", "b", -2), Delta("views", "a", 7))
    later = NOW + timedelta(microseconds=1)
    add(engine, Delta("likes", "a", 1), Delta("likes", "c", 0), now=later)
    assert all_totals(engine) == {("likes", "a"): 6, ("likes", "b"): -2, ("views", "a"): 7, ("likes", "c"): 0}
    with reading(engine) as connection:
        moments = {
            row.item: row.updated_at for row in connection.execute(select(totals).where(totals.c.counter == "likes"))
        }
    assert moments == {"a": later, "b": NOW, "c": later}


def test_a_thousand_and_more_rows_in_one_statement(engine: Engine) -> None:
    deltas = [Delta("likes", f"video:{number:06}", number) for number in range(8000)]
    add(engine, *deltas)
    add(engine, *deltas)
    assert all_totals(engine) == {("likes", delta.item): 2 * delta.delta for delta in deltas}


def test_names_are_compared_as_bytes_and_come_back_as_they_went(engine: Engine) -> None:
    expected = {("likes", name): number for number, name in enumerate(NAMES, 1)}
    deltas = [Delta("likes", name, number) for number, name in enumerate(NAMES, 1)]
    add(engine, *deltas)
    assert all_totals(engine) == expected
    with reading(engine) as connection:
        for (_, name), number in expected.items():
            assert connection.scalars(select(totals.c.total).where(totals.c.item == name)).all() == [number]
        ordered = connection.scalars(select(totals.c.item).order_by(totals.c.item)).all()
    assert ordered == sorted(NAMES, key=str.encode)


def test_the_longest_names_fit(engine: Engine) -> None:
    add(engine, Delta("c" * 64, "é" * 127 + "x", 1), Delta("c" * 64, "😀" * 63, 1))
    assert set(all_totals(engine)) == {("c" * 64, "é" * 127 + "x"), ("c" * 64, "😀" * 63)}


def test_moments_come_back_in_utc_to_the_microsecond(engine: Engine) -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    row = {
        "namespace": "likes",
        "kind": "test",
        "detail": "…",
        "at": elsewhere,
        "exposed_from": NOW.replace(microsecond=0),
    }
    with writing(engine) as connection:
        connection.execute(insert(incidents), [row, row | {"at": NOW - timedelta(seconds=1)}])
    with reading(engine) as connection:
        first, second = connection.execute(select(incidents).order_by(incidents.c.at)).all()
        latest = connection.scalar(select(func.max(incidents.c.at)))
        recent = connection.scalar(select(func.count()).where(incidents.c.at >= NOW))
    assert (first.at, second.at, latest, recent) == (NOW - timedelta(seconds=1), NOW, NOW, 1)
    assert second.at.tzinfo is UTC
    assert second.exposed_from == NOW.replace(microsecond=0)
    assert (second.exposed_to, second.epoch, second.shard) == (None, None, None)


def test_a_moment_without_a_time_zone_is_refused(engine: Engine) -> None:
    with pytest.raises(Exception, match="has no time zone"), reading(engine) as connection:
        connection.execute(select(incidents).where(incidents.c.at > NOW.replace(tzinfo=None)))


def test_payloads_are_bytes(engine: Engine) -> None:
    payload = bytes(range(256)) * 400
    row = {"namespace": "likes", "shard": 3, "epoch": "e", "seq": 2**62, "nonce": "n", "items": 1, "delta": MIN_DELTA}
    with writing(engine) as connection:
        moments = {"sealed_at": NOW, "applied_at": NOW}
        connection.execute(insert(batches).values(**row, **moments, duration_ms=4, worker="w:1", payload=payload))
    with reading(engine) as connection:
        found = connection.execute(select(batches)).one()
    assert found.payload == payload
    assert {name: getattr(found, name) for name in row} == row


@pytest.mark.parametrize(
    ("total", "delta"), [(MAX_DELTA, 1), (MIN_DELTA, -1), (MAX_DELTA, MAX_DELTA), (MIN_DELTA, MIN_DELTA)]
)
def test_a_total_past_64_bits_is_bad_data(engine: Engine, total: int, delta: int) -> None:
    add(engine, Delta("likes", "big", total))
    with pytest.raises(DBAPIError) as caught:
        add(engine, Delta("likes", "a", 1), Delta("likes", "big", delta))
    assert kinds(engine, caught.value) == {"bad data"}
    assert all_totals(engine) == {("likes", "big"): total}


def test_after_bad_data_in_a_savepoint_the_transaction_goes_on(engine: Engine) -> None:
    add(engine, Delta("likes", "big", MAX_DELTA))
    with writing(engine) as connection:
        dialect = dialect_of(connection)
        dialect.add_to_totals(connection, Deltas.of([Delta("likes", "a", 1)]), NOW)
        with pytest.raises(DBAPIError), connection.begin_nested():
            dialect.add_to_totals(connection, Deltas.of([Delta("likes", "b", 1), Delta("likes", "big", 1)]), NOW)
        dialect.add_to_totals(connection, Deltas.of([Delta("likes", "c", 1)]), NOW)
    assert all_totals(engine) == {("likes", "a"): 1, ("likes", "big"): MAX_DELTA, ("likes", "c"): 1}


def test_a_broken_constraint_is_none_of_those(engine: Engine) -> None:
    with pytest.raises(DBAPIError) as caught, writing(engine) as connection:
        connection.execute(insert(totals).values(counter="likes", item="a", total=None, updated_at=NOW))
    assert kinds(engine, caught.value) == set()


def test_a_transaction_that_raises_leaves_nothing(engine: Engine) -> None:
    with pytest.raises(KeyError), writing(engine) as connection:
        dialect_of(connection).add_to_totals(connection, Deltas.of([Delta("likes", "a", 1)]), NOW)
        raise KeyError
    assert all_totals(engine) == {}


def test_a_missing_table_names_the_way_out(database_url: str) -> None:
    engine = open_engine(database_url, timeout=5)
    for transaction in (reading, writing):
        with pytest.raises(SchemaOutdated, match="run `likes migrate`"), transaction(engine) as connection:
            connection.execute(select(totals))
    with pytest.raises(SchemaOutdated):
        add(engine, Delta("likes", "a", 1))
    engine.dispose()


def test_a_missing_column_names_the_way_out(engine: Engine) -> None:
    with pytest.raises(SchemaOutdated), reading(engine) as connection:
        connection.execute(text("SELECT later FROM likes_totals"))
    with pytest.raises(SchemaOutdated), writing(engine) as connection:
        connection.execute(text("INSERT INTO likes_totals (later) VALUES (1)"))


def test_a_lock_that_is_not_released_in_time_is_transient(engine: Engine) -> None:
    add(engine, Delta("likes", "a", 1))
    with writing(engine) as holder, impatient(engine) as other:
        holder.execute(update(totals).values(total=2))
        with pytest.raises(DBAPIError) as caught:
            add(other, Delta("likes", "a", 1))
        assert kinds(engine, caught.value) == {"transient"}
    assert all_totals(engine) == {("likes", "a"): 2}


def test_a_deadlock_is_transient(engine: Engine) -> None:
    if not is_server(engine):
        pytest.skip("one writer at a time: no deadlocks")
    add(engine, Delta("likes", "a", 1), Delta("likes", "b", 1))
    both_hold_one = threading.Barrier(2, timeout=5)

    def cross(first: str, second: str) -> DBAPIError | None:
        try:
            with writing(engine) as connection:
                dialect_of(connection).add_to_totals(connection, Deltas.of([Delta("likes", first, 1)]), NOW)
                both_hold_one.wait()
                dialect_of(connection).add_to_totals(connection, Deltas.of([Delta("likes", second, 1)]), NOW)
        except DBAPIError as error:
            return error
        return None

    with ThreadPoolExecutor(2) as pool:
        (failed,) = filter(None, pool.map(cross, "ab", "ba"))
    assert kinds(engine, failed) == {"transient"}
    assert all_totals(engine) == {("likes", "a"): 2, ("likes", "b"): 2}


def test_a_read_that_takes_too_long_is_unavailable(engine: Engine) -> None:
    if not is_server(engine):
        pytest.skip("no statement time-outs")
    wait = {"postgresql": "pg_sleep(20)"}.get(engine.dialect.name, "SLEEP(20)")
    began = monotonic()
    with impatient(engine) as other, pytest.raises(DatabaseUnavailable), reading(other) as connection:
        connection.execute(text(f"SELECT {wait}"))
    assert monotonic() - began < 5


def test_every_connection_in_use_is_unavailable(engine: Engine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    one = open_engine(url, timeout=0.1, pool_size=1)
    with one.connect(), pytest.raises(DatabaseUnavailable, match=r"no connection was free within 0\.1 s"), reading(one):
        pass
    one.dispose()


def test_a_connection_that_was_cut_is_unavailable_once(engine: Engine) -> None:
    if not is_server(engine):
        pytest.skip("no connections to cut")
    name, cut = {"postgresql": ("pg_backend_pid()", "SELECT pg_terminate_backend({})")}.get(
        engine.dialect.name, ("CONNECTION_ID()", "KILL {}")
    )
    with pytest.raises(DatabaseUnavailable) as caught, writing(engine) as connection:
        victim = connection.scalar(text(f"SELECT {name}"))
        with reading(engine) as other:
            other.execute(text(cut.format(victim)))
        connection.execute(select(totals))
    assert isinstance(caught.value.__cause__, DBAPIError)
    assert kinds(engine, caught.value.__cause__) == {"away", "transient"}
    assert all_totals(engine) == {}


@pytest.mark.parametrize("scheme", ["postgresql", "mysql", "mariadb"])
def test_a_server_that_is_not_there_is_unavailable(scheme: str, unused_port: int) -> None:
    url = f"{scheme}://me:{SECRET}@127.0.0.1:{unused_port}/likes"
    for transaction in (reading, writing):
        with pytest.raises(DatabaseUnavailable) as caught, transaction(open_engine(url, timeout=1)):
            pass
        said = str(caught.value)
        assert f"at 127.0.0.1:{unused_port}: " in said
        assert "\n" not in said
        assert "s3cr" not in said


def test_a_wrong_password_is_unavailable_and_not_shown(engine: Engine) -> None:
    if not engine.url.password:
        pytest.skip("no passwords")
    wrong = engine.url.set(password="s3cr@t").render_as_string(hide_password=False)
    with pytest.raises(DatabaseUnavailable) as caught, reading(open_engine(wrong, timeout=5)):
        pass
    assert "s3cr" not in str(caught.value)


def test_every_connection_to_a_file_waits_until_a_commit_is_on_disk(sqlite_engine: Engine) -> None:
    """Else a power cut takes back batches that Redis was told to forget."""
    extra = 3  # as FULL, and safe without a WAL, too
    with ExitStack() as open_at_once:
        connections = [open_at_once.enter_context(sqlite_engine.connect()) for _ in range(3)]
        assert [one.exec_driver_sql("PRAGMA synchronous").scalar() for one in connections] == [extra] * 3
        assert [one.exec_driver_sql("PRAGMA journal_mode").scalar() for one in connections] == ["wal"] * 3


def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    with (
        pytest.raises(DatabaseUnavailable, match=r"missing/likes\.db"),
        reading(open_engine(f"sqlite:///{tmp_path}/missing/likes.db", timeout=1)),
    ):
        pass
    (tmp_path / "text.db").write_text("no database, and more than a hundred bytes of it" * 10)
    with (
        pytest.raises(DatabaseUnavailable, match="not a database"),
        reading(open_engine(f"sqlite:///{tmp_path}/text.db", timeout=1)),
    ):
        pass


def test_a_stopped_server_process_frees_its_caller(engine: Engine) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("the driver has time-outs of its own, or there is no server process")
    began = monotonic()
    with impatient(engine) as other:
        with (
            pytest.raises(DatabaseUnavailable, match=r"did not finish a transaction within 0\.3 s"),
            writing(other) as connection,
        ):
            pid = connection.scalar(text("SELECT pg_backend_pid()"))
            with stopped(pid):
                connection.execute(select(totals))
        assert all_totals(other) == {}
    assert monotonic() - began < 5


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_a_forked_child_connects_anew(engine: Engine) -> None:
    program = """
import os, sys
from sqlalchemy import event, text
from likes.sql.dialects import dialect_of
from likes.sql.engine import open_engine, reading, writing

engine = open_engine(sys.argv[1], timeout=5)
connected = []
event.listen(engine, "connect", lambda *_: connected.append(os.getpid()))

def work():
    for transaction in (writing, reading):
        with transaction(engine) as connection:
            assert connection.scalar(text("SELECT COUNT(*) FROM likes_totals")) == 0

work()
parent = os.getpid()
assert connected == [parent]
child = os.fork()
work()
if child == 0:
    assert connected == [parent, os.getpid()]
    os._exit(0)
there = [parent] if dialect_of(engine).SURVIVES_FORK else [parent, parent]
assert connected == there
assert os.waitpid(child, 0)[1] == 0
work()
assert connected == there
"""
    url = engine.url.render_as_string(hide_password=False)
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", program, url], cwd=root, capture_output=True, text=True, timeout=30, check=False
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("url", "described"),
    [
        ("postgresql://me:s3cr@db.example/likes", "PostgreSQL at db.example:5432"),
        ("postgres://db.example:6432/likes", "PostgreSQL at db.example:6432"),
        ("postgresql+psycopg://me@/likes?host=/run/postgresql", "PostgreSQL at /run/postgresql"),
        ("postgresql:///likes", "PostgreSQL at localhost:5432"),
        ("mysql://db.example/likes", "MySQL at db.example:3306"),
        ("mariadb+pymysql://db.example:3307/likes", "MariaDB at db.example:3307"),
        ("mysql://me@/likes?unix_socket=/run/mysqld.sock", "MySQL at /run/mysqld.sock"),
        ("sqlite:////var/lib/likes.db", "SQLite at /var/lib/likes.db"),
    ],
)
def test_a_url_is_described(url: str, described: str) -> None:
    assert describe(url) == described


@pytest.mark.parametrize(
    "url",
    [
        "",
        "likes",
        "oracle://me:s3cr@db/likes",
        "postgresql+psycopg2://me:s3cr@db/likes",
        "postgresql://me:s3cr@db:port/likes",
        "postgresql://me:s3cr@db",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://me:s3cr@db/likes?pool=5",
        "mariadb://me:s3cr@db/likes?read_timeout=long",
        "sqlite:////likes.db?timeout=long",
    ],
)
def test_a_url_that_leads_nowhere_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match="database URL") as caught:
        open_engine(url, timeout=1)
    assert "s3cr" not in str(caught.value)


def kinds(engine: Engine, error: DBAPIError) -> set[str]:
    dialect = dialect_of(engine)
    answers = {
        "away": dialect.is_away(error),
        "transient": dialect.is_transient(error),
        "bad data": dialect.is_bad_data(error),
        "missing table": dialect.is_missing_table(error),
    }
    return {kind for kind, answer in answers.items() if answer}


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port of this machine that refuses connections: taken, and not listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
