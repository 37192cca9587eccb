"""The worker as a process: on its interval, with servers that go away, killed, stopped, and not alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import Engine

from likes import RedisFull, embedded
from likes.buffer.leases import Leases
from likes.reports.audit import audit
from likes.sql.engine import open_engine, writing
from likes.sql.schema import migrate
from likes.sql.tables import metadata
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.running_worker import RunningWorker
from tests.servers import PostgreSQL, RedisServer
from tests.shell import CHECKOUT, Shell
from tests.waiting import wait_until

OwnValkey = Callable[..., RedisServer]
ITEMS = {f"item {n}": n + 1 for n in range(200)}
NEVER = {"interval": 3600, "flush_at_items": 0}


def shell_for(rig: Rig, folder: Path, **settings: object) -> Shell:
    """A shell whose `likes` works on the servers of the rig."""
    return Shell(
        folder,
        redis_url=rig.places.redis_url(),
        redis_name="redis",
        database_url=url_of(rig.engine),
        shards=rig.shards,
        **{"interval": 0.2, **settings},
    )


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    """On every database."""
    with Rig(valkey_url, engine, shards=4) as rig:
        yield rig


@pytest.fixture
def one_rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine, shards=4) as rig:
        yield rig


@pytest.fixture
def breakable(own_valkey: OwnValkey, sqlite_engine: Engine) -> Iterator[tuple[RedisServer, Rig]]:
    """A rig and its Redis, to stop and start."""
    server = own_valkey()
    with Rig(server.url, sqlite_engine, shards=4) as rig:
        yield server, rig


def assert_in_order(rig: Rig) -> None:
    found = audit(rig.worker.buffer, rig.worker.ledger, rig.shards)
    assert (found.ok, list(found.problems)) == (True, [])


# Flushing.


def test_it_flushes_at_once_and_then_on_the_interval(rig: Rig, tmp_path: Path) -> None:
    rig.likes.add(ITEMS)
    with RunningWorker(shell_for(rig, tmp_path)) as worker:
        wait_until(lambda: rig.totals() == ITEMS)
        for times in (2, 3):
            rig.likes.add(ITEMS)
            wait_until(lambda n=times: rig.totals() == {item: n * delta for item, delta in ITEMS.items()})
        assert worker.stop() == 0
        assert worker.said("started")[0]["interval"] == 0.2
        assert sum(flushed["delta"] for flushed in worker.said("flushed")) == 3 * sum(ITEMS.values())
        assert worker.said("trouble") == []
    assert {row.worker.partition(":")[0] for row in rig.ledger()} == {socket.gethostname()}
    assert_in_order(rig)


def wait_for_looks(rig: Rig, times: int) -> None:
    """Wait until the worker has looked so many more times; each look asks every shard how long its list is."""

    def lengths_asked_for() -> int:
        return int(rig.redis.info("commandstats").get("cmdstat_llen", {"calls": 0})["calls"])

    enough = lengths_asked_for() + times * rig.shards
    wait_until(lambda: lengths_asked_for() >= enough)


def has_flushed(rig: Rig) -> bool:
    """True once a first flush is done."""
    cursors = rig.worker.ledger.cursors().values()
    return bool(cursors) and all(cursor.covered_at for cursor in cursors)


def pending_items(rig: Rig) -> int:
    return sum(view.pending for shard in range(rig.shards) for view in rig.views(shard).values())


def test_it_flushes_early_when_enough_is_pending_and_not_before(one_rig: Rig, tmp_path: Path) -> None:
    one_rig.likes.add(ITEMS)
    one_rig.flush()
    covered = one_rig.cursor().covered_at
    with RunningWorker(shell_for(one_rig, tmp_path, interval=3600, flush_at_items=100)) as worker:
        wait_until(lambda: one_rig.cursor().covered_at > covered)  # by the flush at its start
        one_rig.likes.add({f"new {n}": 1 for n in range(99)})
        wait_for_looks(one_rig, 4)  # it learns the epochs, counts, would flush, and counts again
        assert pending_items(one_rig) == 99
        one_rig.likes.like("the hundredth")
        assert worker.wait_for("flushed")["items"] == 100
        wait_until(lambda: len(one_rig.totals()) == len(ITEMS) + 100)


def test_shards_that_were_more_once_are_flushed_too(one_rig: Rig, tmp_path: Path) -> None:
    """Where their epochs are of a version that did not write the number down."""
    one_rig.begin_older_epochs(range(4))
    one_rig.flush()
    one_rig.likes.add(ITEMS)
    with RunningWorker(shell_for(one_rig, tmp_path, **NEVER), shards=1):
        wait_until(lambda: one_rig.totals() == ITEMS)


def test_it_comes_back_for_shards_another_worker_held(one_rig: Rig, tmp_path: Path) -> None:
    Leases(one_rig.worker.buffer, 1.0).take([0, 1])  # it was killed
    one_rig.likes.add(ITEMS)
    with RunningWorker(shell_for(one_rig, tmp_path, **NEVER, lease_seconds=1)):
        wait_until(lambda: one_rig.totals() == ITEMS)


def test_it_tells_of_incidents_and_dead_letters(one_rig: Rig, tmp_path: Path) -> None:
    one_rig.likes.like("a")
    one_rig.flush()
    one_rig.redis.flushall()
    one_rig.likes.add({"a": 1, "odd": 1})
    shard = next(shard for shard in range(4) if one_rig.redis.exists(one_rig.key("delta:likes:odd", shard)))
    one_rig.redis.set(one_rig.key("delta:likes:odd", shard), "no number")
    with RunningWorker(shell_for(one_rig, tmp_path, **NEVER)) as worker:
        told = worker.wait_for("dead_letter")
        assert (told["item"], told["delta"], told["counter"], told["shard"]) == ("odd", None, "likes", shard)
        assert "no number for likes of 'odd' could not be counted" in told["message"]
        assert told["reason"] in told["message"]
        assert worker.wait_for("incident")["kind"] == "redis_replaced"


def test_of_many_dead_letters_it_names_the_first_ones_each_once(one_rig: Rig, tmp_path: Path) -> None:
    """Also those of an epoch given up, which no flush counts."""
    one_rig.likes.like("a")
    one_rig.flush()
    one_rig.likes.add({f"item {n:02}": n for n in range(1, 26)})
    copy = one_rig.copy_redis()
    one_rig.flush()
    with RunningWorker(shell_for(one_rig, tmp_path, interval=0.2)) as worker:
        one_rig.restore_redis(copy)
        assert worker.wait_for("dead_letters")["dead_letters"] == 5
        one_rig.likes.like("a")
        wait_until(lambda: one_rig.totals()["a"] == 2)
        told = [line for line in worker.lines if '"dead_letter"' in line]
    letters = {letter.item: letter.delta for letter in one_rig.dead_letters()}
    assert letters == {f"item {n:02}": n for n in range(1, 26)}
    assert len(told) == 20
    assert all(sum(f'"item": "{item}"' in line for line in told) <= 1 for item in letters)


def test_no_password_is_logged_and_text_is_the_default(postgres_url: str, valkey_url: str, tmp_path: Path) -> None:
    secret = postgres_url.replace("postgres@", "postgres:s3cret@")
    migrate(open_engine(secret, timeout=10))
    shell = Shell(tmp_path, redis_url=valkey_url, database_url=secret, redis_name="redis")
    with RunningWorker(shell, log_format=None, **NEVER) as worker:
        wait_until(lambda: worker.lines)
        assert worker.stop() == 0
    assert "info worker" in worker.lines[0]
    assert "PostgreSQL at 127.0.0.1" in worker.lines[0]
    assert "s3cret" not in "".join(worker.lines)


# The end.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_last_flush(one_rig: Rig, tmp_path: Path, number: signal.Signals) -> None:
    with RunningWorker(shell_for(one_rig, tmp_path, **NEVER)) as worker:
        wait_until(lambda: has_flushed(one_rig))
        one_rig.likes.add(ITEMS)
        assert worker.stop(number) == 0
        assert worker.said("stopping")[0]["reason"] == number.name
        assert len(worker.said("stopped")) == 1
    assert one_rig.totals() == ITEMS


def test_the_last_flush_does_not_wait_for_leases(one_rig: Rig, tmp_path: Path) -> None:
    with RunningWorker(shell_for(one_rig, tmp_path, **NEVER)) as worker:
        wait_until(lambda: has_flushed(one_rig))
        one_rig.likes.add(ITEMS)
        another = Leases(one_rig.worker.buffer, 60)
        wait_until(lambda: another.take(range(4)) == [0, 1, 2, 3])
        assert worker.stop() == 0
    assert one_rig.totals() == ITEMS


def test_leases_are_given_back(one_rig: Rig, tmp_path: Path) -> None:
    one_rig.likes.add(ITEMS)
    with RunningWorker(shell_for(one_rig, tmp_path, **NEVER)) as worker:
        worker.wait_for("flushed")
        wait_until(lambda: not one_rig.redis.keys("*:lease"))


def test_a_signal_sent_twice_in_a_row_is_one(one_rig: Rig, tmp_path: Path) -> None:
    with RunningWorker(shell_for(one_rig, tmp_path, **NEVER)) as worker:
        wait_until(lambda: has_flushed(one_rig))
        one_rig.likes.add(ITEMS)
        worker.send(signal.SIGTERM)
        worker.wait_for("stopping")
        assert worker.stop() == 0
        assert len(worker.said("stopping")) == 1
    assert one_rig.totals() == ITEMS


def test_a_signal_after_its_last_words_changes_nothing(one_rig: Rig, tmp_path: Path) -> None:
    with RunningWorker(shell_for(one_rig, tmp_path, **NEVER)) as worker:
        wait_until(lambda: has_flushed(one_rig))
        worker.send(signal.SIGTERM)
        worker.wait_for("stopped")
        assert worker.stop() == 0


def test_a_later_signal_ends_it_at_once(breakable: tuple[RedisServer, Rig], tmp_path: Path) -> None:
    server, rig = breakable
    with RunningWorker(shell_for(rig, tmp_path, **NEVER, redis_timeout=600)) as worker:
        wait_until(lambda: has_flushed(rig))
        rig.likes.add(ITEMS)
        server.pause()
        worker.send(signal.SIGTERM)
        worker.wait_for("stopping")
        wait_until(lambda: worker.send(signal.SIGTERM) or worker.process.poll() is not None)
        assert worker.wait() == -signal.SIGTERM
        server.resume()
    assert rig.flush().delta == sum(ITEMS.values())


def test_a_last_flush_that_takes_too_long_is_cut_short(breakable: tuple[RedisServer, Rig], tmp_path: Path) -> None:
    server, rig = breakable
    program = "from worker import run; run.LAST_FLUSH_SECONDS = 1; from cli.main import main; main()"
    settings = shell_for(rig, tmp_path, **NEVER, redis_timeout=600, log_format="json").settings
    environment = {f"LIKES_{name.upper()}": str(value) for name, value in settings.items()}
    with subprocess.Popen(
        [sys.executable, "-c", program, "worker"],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **environment},
    ) as process:
        assert process.stderr
        wait_until(lambda: has_flushed(rig))
        server.pause()
        process.send_signal(signal.SIGTERM)
        said = [json.loads(line)["event"] for line in process.stderr]
        assert process.wait(30) == 1
    server.resume()
    assert said[-1] == "cut_short"


def test_with_redis_away_at_the_end_it_says_so_and_nothing_is_lost(
    breakable: tuple[RedisServer, Rig], tmp_path: Path
) -> None:
    server, rig = breakable
    with RunningWorker(shell_for(rig, tmp_path, **NEVER)) as worker:
        wait_until(lambda: has_flushed(rig))
        rig.likes.add(ITEMS)
        server.stop()
        assert worker.stop() == 0
        (left,) = worker.said("left")
        assert left["message"].startswith("no last flush: Redis at 127.0.0.1")
        assert "nothing is lost" in left["message"]
        assert left["pending_items"] is None
    server.start()
    assert rig.flush().delta == sum(ITEMS.values())


def test_with_the_database_away_at_the_end_it_says_what_is_left(
    own_postgres: PostgreSQL, valkey_url: str, tmp_path: Path
) -> None:
    engine = open_engine(own_postgres.url, timeout=10)
    migrate(engine)
    with Rig(valkey_url, engine, shards=4) as rig:
        with RunningWorker(shell_for(rig, tmp_path, **NEVER)) as worker:
            wait_until(lambda: has_flushed(rig))
            rig.likes.add(ITEMS)
            own_postgres.stop()
            assert worker.stop() == 0
            (left,) = worker.said("left")
            assert left["pending_items"] == len(ITEMS)
            assert f"{len(ITEMS)} items are pending in Redis" in left["message"]
            assert len(worker.said("stopped")) == 1
        own_postgres.start()
        rig.worker.ledger.engine.dispose()  # its connections were cut too
        assert rig.flush().delta == sum(ITEMS.values())
    engine.dispose()


def test_with_a_server_that_has_not_answered_for_long_being_cut_short_is_no_failure(
    breakable: tuple[RedisServer, Rig], tmp_path: Path
) -> None:
    server, rig = breakable
    program = "from worker import run; run.LAST_FLUSH_SECONDS = 1; from cli.main import main; main()"
    settings = shell_for(rig, tmp_path, interval=0.2, redis_timeout=2, log_format="json").settings
    environment = {f"LIKES_{name.upper()}": str(value) for name, value in settings.items()}
    with subprocess.Popen(
        [sys.executable, "-c", program, "worker"],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **environment},
    ) as process:
        assert process.stderr
        wait_until(lambda: has_flushed(rig))
        server.pause()
        assert any(json.loads(line)["event"] == "trouble" for line in process.stderr)
        process.send_signal(signal.SIGTERM)
        said = [json.loads(line)["event"] for line in process.stderr]
        assert process.wait(30) == 0
    server.resume()
    assert said[-1] == "cut_short"


def test_as_the_first_process_of_a_container_a_later_signal_ends_it_too(
    breakable: tuple[RedisServer, Rig], tmp_path: Path
) -> None:
    server, rig = breakable
    shell = shell_for(rig, tmp_path, **NEVER, redis_timeout=600, log_format="json")
    command = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-m", "likes", "worker"]
    if subprocess.run([*command[:4], "true"], capture_output=True, check=False).returncode:
        pytest.skip("no right to make a pid namespace")
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=tmp_path, env=shell.environment()) as outside:
        assert outside.stderr
        wait_until(lambda: has_flushed(rig))
        server.pause()
        (first,) = Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text().split()
        os.kill(int(first), signal.SIGTERM)
        assert any(json.loads(line)["event"] == "stopping" for line in outside.stderr)
        with suppress(ProcessLookupError):
            wait_until(lambda: os.kill(int(first), signal.SIGTERM) or outside.poll() is not None)
        assert outside.wait(30) == 128 + signal.SIGTERM
        server.resume()


# Killed.


def test_killed_again_and_again_it_loses_and_repeats_nothing(rig: Rig, tmp_path: Path) -> None:
    shell = shell_for(rig, tmp_path, batch_items=5)
    posted = dict.fromkeys(ITEMS, 0)
    for _ in range(3):
        rig.likes.add(ITEMS)
        posted = {item: count + ITEMS[item] for item, count in posted.items()}
        batches_before = len(rig.ledger())
        with RunningWorker(shell) as worker:
            wait_until(lambda before=batches_before: len(rig.ledger()) > before + 3)
            worker.kill()
    with RunningWorker(shell) as worker:
        worker.wait_for("started")  # before that SIGTERM ends it, and perhaps nothing is left to do
        wait_until(lambda: rig.totals() == posted)
        assert worker.stop() == 0
    assert rig.totals() == posted
    assert rig.kinds() == []
    assert_in_order(rig)


# Not alone.


def test_two_workers_share_the_shards_and_count_everything_once(rig: Rig, tmp_path: Path) -> None:
    shell = shell_for(rig, tmp_path, interval=0.05, batch_items=7)
    turns = 0
    with RunningWorker(shell) as one, RunningWorker(shell) as other:
        one.wait_for("started")
        other.wait_for("started")
        deadline = time.monotonic() + 60
        while turns < 20 or len({row.worker for row in rig.ledger()}) < 2:
            rig.likes.add(ITEMS)
            turns += 1
            assert time.monotonic() < deadline, "one of them does nothing"
        assert (one.stop(), other.stop()) == (0, 0)
        assert one.said("trouble") == other.said("trouble") == []
    assert rig.totals() == {item: turns * delta for item, delta in ITEMS.items()}
    assert rig.kinds() == []
    assert_in_order(rig)


# Servers that are away.


class Refusing:
    """Listens on a port and hangs up on everybody, counting them."""

    def __init__(self, port: int) -> None:
        self.callers = 0
        self._listener = socket.create_server(("127.0.0.1", port))
        self._thread = Thread(target=self._answer, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _answer(self) -> None:
        while True:
            try:
                self._listener.accept()[0].close()
            except OSError:  # closed
                return
            self.callers += 1


def test_redis_away_at_start_is_said_once_and_waited_for(breakable: tuple[RedisServer, Rig], tmp_path: Path) -> None:
    server, rig = breakable
    server.stop()
    refusing = Refusing(server.port)
    with RunningWorker(shell_for(rig, tmp_path)) as worker:
        worker.wait_for("trouble")
        wait_until(lambda: refusing.callers >= 5)
        refusing.close()
        server.start()
        worker.wait_for("recovered")
        rig.likes.add(ITEMS)
        wait_until(lambda: rig.totals() == ITEMS)
        assert worker.stop() == 0
        (trouble,) = worker.said("trouble")
        assert "Redis at 127.0.0.1" in trouble["message"]
        assert len(worker.said("recovered")) == 1


def test_redis_away_later_is_waited_for(breakable: tuple[RedisServer, Rig], tmp_path: Path) -> None:
    server, rig = breakable
    with RunningWorker(shell_for(rig, tmp_path)) as worker:
        for turn in (1, 2):
            rig.likes.add(ITEMS)
            wait_until(lambda n=turn: rig.totals() == {item: n * delta for item, delta in ITEMS.items()})
            server.stop()
            worker.wait_for("trouble", times=turn)
            server.start()
            worker.wait_for("recovered", times=turn)
        assert worker.wait_for("incident")["kind"] == "redis_restarted"
        assert worker.stop() == 0
        assert (len(worker.said("trouble")), len(worker.said("recovered"))) == (2, 2)


def test_a_redis_that_does_not_answer_holds_nothing_up_for_ever(
    breakable: tuple[RedisServer, Rig], tmp_path: Path
) -> None:
    server, rig = breakable
    with RunningWorker(shell_for(rig, tmp_path, redis_timeout=0.2)) as worker:
        wait_until(lambda: has_flushed(rig))
        server.pause()
        worker.wait_for("trouble")
        server.resume()
        worker.wait_for("recovered")


def fill_up(rig: Rig) -> int:
    """Like item after item until Redis takes no more; how many it took."""
    for number in count():
        try:
            rig.likes.like(f"{number} {'x' * 200}")
        except RedisFull:
            return number
    raise AssertionError("unreachable")


def test_a_full_redis_is_made_room_in(own_valkey: OwnValkey, sqlite_engine: Engine, tmp_path: Path) -> None:
    server = own_valkey("--maxmemory", "4mb", "--maxmemory-policy", "noeviction")
    with Rig(server.url, sqlite_engine, shards=4) as rig:
        posted = fill_up(rig)
        with RunningWorker(shell_for(rig, tmp_path)) as worker:
            wait_until(lambda: len(rig.totals()) == posted)
            rig.likes.like("there is room again")
            assert worker.stop() == 0
            assert worker.said("trouble") == []
        assert_in_order(rig)


def test_a_redis_that_fills_up_is_flushed_early_and_takes_likes_again(
    own_valkey: OwnValkey, sqlite_engine: Engine, tmp_path: Path
) -> None:
    """Twice what fits, with nothing started anew: whoever is refused tries again."""
    server = own_valkey("--maxmemory", "4mb", "--maxmemory-policy", "noeviction")
    with Rig(server.url, sqlite_engine, shards=4) as rig, RunningWorker(shell_for(rig, tmp_path, **NEVER)) as worker:
        wait_until(lambda: has_flushed(rig))
        for number in range(12_000):
            wait_until(lambda n=number: took(rig, f"{n} {'x' * 240}"), timeout=60)
        assert worker.stop() == 0
        assert len(rig.totals()) == 12_000
        assert worker.said("trouble") == []
        assert_in_order(rig)


def took(rig: Rig, item: str) -> bool:
    """Whether Redis took a like; False if it is full."""
    try:
        return rig.likes.like(item) == 1
    except RedisFull:
        return False


def test_a_database_away_stops_no_like_and_is_waited_for(
    own_postgres: PostgreSQL, valkey_url: str, tmp_path: Path
) -> None:
    engine = open_engine(own_postgres.url, timeout=5)
    migrate(engine)
    with Rig(valkey_url, engine, shards=4) as rig:
        own_postgres.stop()
        rig.likes.add(ITEMS)
        with RunningWorker(shell_for(rig, tmp_path)) as worker:
            worker.wait_for("trouble")
            own_postgres.start()
            worker.wait_for("recovered")
            wait_until(lambda: rig.totals() == ITEMS)

            own_postgres.stop()
            worker.wait_for("trouble", times=2)
            rig.likes.add(ITEMS)
            assert rig.likes.pending("item 7") == ITEMS["item 7"]
            own_postgres.start()
            worker.wait_for("recovered", times=2)
            engine.dispose()  # its connections were cut too
            wait_until(lambda: rig.totals() == {item: 2 * delta for item, delta in ITEMS.items()})
            assert worker.stop() == 0
            assert len(worker.said("trouble")) == 2
            assert "PostgreSQL at 127.0.0.1" in worker.said("trouble")[0]["message"]
        assert rig.kinds() == []
        assert_in_order(rig)
    engine.dispose()


def test_tables_are_asked_for_once_the_database_is_there(
    own_postgres: PostgreSQL, valkey_url: str, tmp_path: Path
) -> None:
    own_postgres.stop()
    shell = Shell(tmp_path, redis_url=valkey_url, database_url=own_postgres.url, **NEVER)
    with RunningWorker(shell) as worker:
        worker.wait_for("trouble")
        own_postgres.start()
        assert worker.wait() == 1
        (failed,) = worker.said("failed")
        assert failed["message"].startswith("PostgreSQL at")
        assert failed["message"].endswith("run `likes migrate`")


def test_without_tables_it_does_not_start(valkey_url: str, sqlite_url: str, tmp_path: Path) -> None:
    with RunningWorker(Shell(tmp_path, redis_url=valkey_url, database_url=sqlite_url)) as worker:
        assert worker.wait() == 1
        assert worker.said("failed")[0]["message"].endswith("has no tables yet; run `likes migrate`")


def test_a_wrong_setting_is_told_as_json_too(tmp_path: Path) -> None:
    with RunningWorker(Shell(tmp_path), shards=0, interval="soon") as worker:
        assert worker.wait() == 2
        (failed,) = worker.said("failed")
        assert len(worker.lines) == 1
        assert "LIKES_SHARDS is '0'" in failed["message"] and "LIKES_INTERVAL is 'soon'" in failed["message"]
    with RunningWorker(Shell(tmp_path), shards=0, log_format=None) as worker:
        assert worker.wait() == 2
        assert worker.lines[0].startswith("Error: LIKES_SHARDS is '0'")


def test_another_redis_than_the_databases_own_is_refused(one_rig: Rig, tmp_path: Path) -> None:
    one_rig.flush()
    with RunningWorker(shell_for(one_rig, tmp_path), redis_name="a-laptop") as worker:
        assert worker.wait() == 1
        assert "belongs to the Redis redis, not to a-laptop" in worker.said("failed")[0]["message"]


def test_tables_that_are_gone_for_a_moment_are_waited_for(rig: Rig, tmp_path: Path) -> None:
    rig.likes.add(ITEMS)
    with RunningWorker(shell_for(rig, tmp_path)) as worker:
        wait_until(lambda: rig.totals() == ITEMS)
        copy = rig.copy_sql()
        with writing(rig.engine) as connection:
            metadata.drop_all(connection)
        assert "run `likes migrate`" in worker.wait_for("trouble")["message"]
        rig.likes.add(ITEMS)
        with writing(rig.engine) as connection:
            metadata.create_all(connection)
        rig.restore_sql(copy)
        worker.wait_for("recovered")
        wait_until(lambda: rig.totals() == {item: 2 * delta for item, delta in ITEMS.items()})
        assert worker.stop() == 0
        assert len(worker.said("trouble")) <= 2, "what is asked for first may be another table"
    assert_in_order(rig)


def test_an_embedded_redis_that_died_is_started_again(tmp_path: Path) -> None:
    data, shell = tmp_path / "data", Shell(tmp_path)
    embedded.ensure_running(data)
    try:
        with RunningWorker(shell, interval=0.2) as worker:
            assert shell("post", "a").code == 0
            worker.wait_for("flushed")
            pid = embedded.status(data).pid
            assert pid
            os.kill(pid, signal.SIGKILL)
            worker.wait_for("recovered")
            assert shell("post", "a").code == 0
            worker.wait_for("flushed", times=2)
            assert worker.stop() == 0
    finally:
        embedded.stop(data)


def test_what_is_set_up_wrongly_is_said_at_the_start(
    own_valkey: OwnValkey, sqlite_engine: Engine, tmp_path: Path
) -> None:
    server = own_valkey("--maxmemory-policy", "allkeys-lru", "--appendfsync", "no")
    shell = Shell(tmp_path, redis_url=server.url, database_url=url_of(sqlite_engine), redis_ulr="x")
    with RunningWorker(shell, **NEVER) as worker:
        worker.wait_for("finding", 3)
        assert worker.stop() == 0
        said = {finding["name"]: finding for finding in worker.said("finding")}
    assert said.keys() == {"eviction", "persistence", "LIKES_REDIS_ULR"}
    assert said["eviction"]["level"] == "error"
    assert said["eviction"]["fix"] == "redis-cli CONFIG SET maxmemory-policy noeviction"
    assert said["eviction"]["fix"] in said["eviction"]["message"]


def test_nothing_is_said_at_the_start_where_all_is_right(one_rig: Rig, tmp_path: Path) -> None:
    with RunningWorker(shell_for(one_rig, tmp_path), **NEVER) as worker:
        worker.wait_for("started")
        assert worker.stop() == 0
        assert worker.said("finding") == []
