"""How `likes serve` ends: all that is under way is answered, whatever else is open; and what is killed comes back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from likes.api.serving import process, supervisor
from likes.api.serving.limits import Limits
from tests.api.test_serve import children_of
from tests.likers import Likers, Streams
from tests.raw_http import Wire
from tests.running_api import RunningApi
from tests.served_slowly import SlowShell
from tests.servers import PostgreSQL, RedisServer
from tests.shell import Shell
from tests.waiting import wait_until

HEAD = b"POST /v1/items/a/likes HTTP/1.1\r\nHost: localhost\r\n"
GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def likes(tmp_path: Path, valkey_url: str, sqlite_url: str) -> Shell:
    shell = SlowShell(tmp_path, redis_url=valkey_url, database_url=sqlite_url)
    assert shell("migrate").code == 0
    return shell


def counted(likes: Shell) -> int:
    """The live total of the item."""
    found: int = likes("get", "a", "--json").json[0]["total"]
    return found


def stopped_by_itself(api: RunningApi, number: signal.Signals = signal.SIGTERM) -> None:
    """It ends in good order by the signal, and none of its processes has to be killed."""
    assert api.stop(number) == 0
    assert not api.said("killed")


def test_ten_seconds_are_enough() -> None:
    """Whoever stops it kills it after ten: how long each part may take, on a machine that has nothing else to do."""
    assert process.DRAIN_SECONDS + 1 < process.END_SECONDS < supervisor.PROCESS_SECONDS < 10
    assert max(process.GRACE_SECONDS.values()) < process.DRAIN_SECONDS
    assert Limits().stopping_seconds + Limits().linger_seconds < process.DRAIN_SECONDS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("processes", [1, 2])
def test_it_ends_by_a_signal_whatever_is_open(likes: Shell, number: signal.Signals, processes: int) -> None:
    with RunningApi(likes, "--processes", str(processes)) as api, ExitStack() as opened:
        wires = {
            name: opened.enter_context(Wire(api.address))
            for name in ("new", "idle", "head", "body", "stream", "last", "row")
        }
        assert wires["idle"].ask(HEAD + b"\r\n").status == 202
        wires["head"].send(HEAD)
        wires["body"].send(HEAD + b"Content-Length: 12\r\n\r\n" + b'{"count":')
        wires["last"].send(GET % b"/last")
        wires["row"].send(GET % b"/last" + HEAD + b"\r\n" + GET % b"/last")
        wires["stream"].send(GET % b"/stream")
        wires["stream"].wait_for(b"begin")  # and what came before was read, too
        stopped_by_itself(api, number)
        assert wires["new"].ends() and wires["idle"].ends()
        assert [wires[name].answer().status for name in ("head", "body")] == [408, 408]
        wires["stream"].wait_for(b"end\n\r\n0\r\n\r\n")
        assert wires["last"].answer().headers["connection"] == "close"
        assert [wires["row"].answer().status for _ in range(3)] == [200, 202, 200]
        assert all(wire.ends() for wire in wires.values())
    assert counted(likes) == 2
    assert [line for line in api.lines if "Traceback" in line or '"error"' in line] == []


def test_what_does_not_end_by_itself_is_cut_off_in_time(
    tmp_path: Path, own_valkey: Callable[..., RedisServer], sqlite_url: str
) -> None:
    """Whoever was told nothing yet is told so, once; in an answer that has begun nothing is said."""
    server = own_valkey()
    likes = SlowShell(tmp_path, redis_url=server.url, database_url=sqlite_url, redis_timeout=60)
    assert likes("migrate").code == 0
    like, never, deaf = HEAD + b"\r\n", GET % b"/never", GET % b"/deaf"
    with RunningApi(likes) as api, ExitStack() as opened:
        waiting = [opened.enter_context(Wire(api.address)) for _ in range(5)]
        begun = [opened.enter_context(Wire(api.address)) for _ in range(2)]
        for wire in waiting[2:]:
            assert wire.ask(GET % b"/v1/items/a").status == 200
        server.pause()
        for wire, row in zip(waiting, (never, never + like, like, like + never, like + like), strict=True):
            wire.send(row)
        for wire, row in zip(begun, (deaf, deaf + like), strict=True):
            wire.send(row)
            wire.wait_for(b"begin\n\r\n")  # and what came before was read, too
        api.send(signal.SIGTERM)
        for wire in waiting:
            answer = wire.answer()
            assert (answer.status, answer.json["type"]) == (503, "stopping")
            assert wire.ends()
        assert all(wire.ends() for wire in begun)
        server.resume()
        assert api.wait() == 0
        assert not [line for line in api.lines if "Traceback" in line]
    assert counted(likes) == 3  # those that were sent to Redis; what waited behind others was never begun


def test_a_second_signal_ends_it_at_once(likes: Shell) -> None:
    with RunningApi(likes) as api, Wire(api.address) as deaf:
        deaf.send(GET % b"/deaf")
        deaf.wait_for(b"begin")
        children = children_of(api.process.pid)
        api.send(signal.SIGTERM)
        api.send(signal.SIGINT)
        api.wait_for("stopping")
        told = time.monotonic()
        wait_until(lambda: time.monotonic() - told > 1.1)
        assert api.process.poll() is None, "two at once are one"
        assert api.stop() == 143
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))


def test_likes_answered_before_the_end_are_counted(likes: Shell) -> None:
    with RunningApi(likes, "--processes", "2") as api, Likers(api.address) as likers:
        wait_until(lambda: likers.answered > 500)
        stopped_by_itself(api)
        answered = likers.answered
    assert all(isinstance(failed, OSError) for failed in likers.failed), "none was answered and not counted"
    assert counted(likes) == likers.answered == answered


def test_one_process_killed_under_load_comes_back(likes: Shell) -> None:
    with RunningApi(likes, "--processes", "2") as api:
        with Likers(api.address) as likers:
            for kill in range(1, 4):
                before = likers.answered
                wait_until(lambda before=before: likers.answered > before + 200)
                victim = children_of(api.process.pid)[0]
                os.kill(victim, signal.SIGKILL)
                ended = api.wait_for("process_ended", times=kill)
                assert (ended["pid"], ended["code"]) == (victim, -signal.SIGKILL)
                wait_until(lambda: len(children_of(api.process.pid)) == 2)
            wait_until(lambda before=before: likers.answered > before + 400)
        stopped_by_itself(api)
    assert 0 < len(likers.failed) <= 3 * 8, "what each client had under way at each death"
    assert likers.answered <= counted(likes) <= likers.answered + len(likers.failed)


def test_one_that_dies_again_and_again_is_started_ever_more_rarely(likes: Shell) -> None:
    with RunningApi(likes) as api:
        for times in range(1, 5):
            wait_until(lambda: bool(children_of(api.process.pid)))
            os.kill(children_of(api.process.pid)[0], signal.SIGKILL)
            api.wait_for("process_ended", times)
        ended = api.said("process_ended")
        for one, after in pairwise(ended):
            assert after["pause"] in (2 * one["pause"] or 0.25, 0), "0 after one that lived for ten seconds"
            between = datetime.fromisoformat(after["at"]) - datetime.fromisoformat(one["at"])
            assert between.total_seconds() > one["pause"] - 0.01  # `at` is cut off at milliseconds
        stopped_by_itself(api)


def test_a_process_that_is_told_to_end_answers_first_and_is_followed_by_another(likes: Shell) -> None:
    with RunningApi(likes, "--processes", "2") as api, Likers(api.address, clients=2) as likers:
        wait_until(lambda: likers.answered > 100)
        os.kill(children_of(api.process.pid)[0], signal.SIGHUP)
        assert api.wait_for("process_ended")["code"] == 0
        wait_until(lambda: len(children_of(api.process.pid)) == 2)
    assert likers.failed == []
    assert counted(likes) == likers.answered


@pytest.mark.timeout(400)
def test_ten_rolling_restarts_under_load_with_open_streams(likes: Shell) -> None:
    with RunningApi(likes, "--processes", "2") as api, Streams(api.address) as streams:
        seen = {*children_of(api.process.pid)}
        with Likers(api.address, clients=6) as likers:
            for roll in range(1, 11):
                wait_until(lambda: streams.opened - streams.ended == 4)
                api.send(signal.SIGHUP)
                api.wait_for("rolled", times=roll)
                now = {*children_of(api.process.pid)}
                assert len(now) == 2 and not seen & now
                seen |= now
        streams.let_end()
        stopped_by_itself(api)
    assert (likers.failed, streams.failed) == ([], [])
    assert streams.ended >= 40 and likers.answered > 1000
    assert counted(likes) == likers.answered


def test_a_connection_kept_from_before_is_answered_once_more(likes: Shell) -> None:
    with RunningApi(likes) as api, Wire(api.address) as kept, Wire(api.address) as stream:
        assert kept.ask(HEAD + b"\r\n").headers.get("connection") is None
        stream.send(GET % b"/stream")
        stream.wait_for(b"begin")
        api.send(signal.SIGHUP)
        stream.wait_for(b"end")
        told = time.monotonic()
        wait_until(lambda: time.monotonic() - told > 0.5)
        answer = kept.ask(HEAD + b"\r\n")
        assert (answer.status, answer.headers["connection"]) == (202, "close")


def test_what_cannot_start_takes_nothing_over(tmp_path: Path, likes: Shell) -> None:
    with RunningApi(likes, "--processes", "2") as api:
        before = children_of(api.process.pid)
        (tmp_path / ".env").write_text("LIKES_SHARDS=none\n")
        api.send(signal.SIGHUP)
        api.wait_for("not_replaced")
        assert children_of(api.process.pid) == before
        assert api.client.post("/v1/items/a/likes").status_code == 202
        (tmp_path / ".env").write_text("LIKES_SHARDS=16\n")
        api.send(signal.SIGHUP)
        api.wait_for("rolled")
        assert not {*before} & {*children_of(api.process.pid)}
        stopped_by_itself(api)


@pytest.fixture
def with_worker(likes: Shell) -> Iterator[RunningApi]:
    with RunningApi(likes, "--with-worker", interval=0.5, flush_at_items=1) as api:
        api.wait_for("started")
        yield api


def worker_of(api: RunningApi) -> int:
    """The process id of the newest worker."""
    return int(api.said("started")[-1]["worker"].rpartition(":")[2])


def database(likes: Shell) -> int:
    """What SQL holds of the item."""
    found: int = likes("get", "a", "--json").json[0]["database"]
    return found


def test_the_worker_flushes_what_was_liked_last(likes: Shell, with_worker: RunningApi) -> None:
    with Likers(with_worker.address, clients=4) as likers:
        wait_until(lambda: likers.answered > 300 and with_worker.said("flushed"))
        stopped_by_itself(with_worker)
        answered = likers.answered
    assert database(likes) == answered
    said = [event["event"] for event in with_worker.said_all() if event["event"] in ("stopping", "stopped")]
    assert said == ["stopping", "stopping", "stopped", "stopped"], "the API, the worker, the worker, the API"


def test_a_worker_that_is_killed_comes_back_and_all_is_counted(likes: Shell, with_worker: RunningApi) -> None:
    with Likers(with_worker.address, clients=4) as likers:
        for times in range(1, 4):
            flushes = len(with_worker.said("flushed"))
            wait_until(lambda flushes=flushes: len(with_worker.said("flushed")) > flushes, timeout=30)
            os.kill(worker_of(with_worker), signal.SIGKILL)
            assert with_worker.wait_for("process_ended", times)["kind"] == "worker"
            with_worker.wait_for("started", times + 1)
    assert likers.failed == []
    stopped_by_itself(with_worker)
    assert database(likes) == likers.answered
    assert likes("audit").code == 0


def test_a_worker_is_replaced_with_the_others(likes: Shell, with_worker: RunningApi) -> None:
    before = worker_of(with_worker)
    with_worker.send(signal.SIGHUP)
    with_worker.wait_for("rolled")
    with_worker.wait_for("started", 2)
    assert worker_of(with_worker) != before
    assert with_worker.client.post("/v1/items/a/likes").status_code == 202
    stopped_by_itself(with_worker)
    assert database(likes) == 1


def test_a_last_flush_that_cannot_be_done_is_no_failure(
    tmp_path: Path, valkey_url: str, own_postgres: PostgreSQL
) -> None:
    likes = Shell(tmp_path, redis_url=valkey_url, database_url=own_postgres.create("away"))
    assert likes("migrate").code == 0
    with RunningApi(likes, "--with-worker") as api:
        api.wait_for("started")
        assert api.client.post("/v1/items/a/likes").status_code == 202
        own_postgres.kill()
        stopped_by_itself(api)
        assert api.said("left")
    own_postgres.start()
    assert likes("flush").code == 0
    assert likes("get", "a", "--json").json[0]["database"] == 1
