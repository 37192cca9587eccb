"""Somebody is told of incidents and dead letters: once, whichever worker does, within seconds, and no flush waits."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import Engine

from likes.sql.incidents import Kind
from likes.sql.meanings import MEANINGS
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.running_worker import RunningWorker
from tests.scrapes import scrape
from tests.servers import free_port
from tests.shell import Shell
from tests.waiting import wait_until

KINDS = {"redis_went_back", "set_aside", "dead_letters"}


def go_back(rig: Rig, item: str) -> None:
    """Redis goes back to a moment at which this item was liked and not flushed."""
    rig.likes.like(item, 5)
    copy = rig.copy_redis()
    rig.flush()
    rig.restore_redis(copy)
    rig.flush()


def later(rig: Rig) -> None:
    """As if five minutes had passed."""
    for key in rig.redis.scan_iter("*:notice:*"):
        rig.redis.delete(key)


def shell_of(rig: Rig, folder: Path) -> Shell:
    places = {"redis_url": rig.places.redis, "database_url": url_of(rig.engine)}
    return Shell(folder, **places, redis_name="redis", shards=rig.shards, interval=0.2)


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine) as rig:
        go_back(rig, "a")
        yield rig


@pytest.fixture
def likes(rig: Rig, tmp_path: Path) -> Shell:
    return shell_of(rig, tmp_path)


@pytest.fixture
def heard(tmp_path: Path) -> Path:
    """The file to which `command` adds a line for each call."""
    return tmp_path / "it's heard"


@pytest.fixture
def command(tmp_path: Path, heard: Path) -> str:
    program = tmp_path / "tell.py"
    program.write_text("import sys; print(sys.stdin.read(), file=open(sys.argv[1], 'a'))")
    return shlex.join([sys.executable, str(program), str(heard)])


def told(heard: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in heard.read_text().splitlines()] if heard.exists() else []


class Receiver:
    """A real HTTP server that keeps what it is sent, and answers `status` once `silent` is set."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self.silent = Event()
        self.silent.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.headers.append(dict(self.headers))
                receiver.bodies.append(json.loads(body))
                receiver.silent.wait(30)
                self.send_response(receiver.status)
                if receiver.status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.silent.set()
    receiver.server.shutdown()
    receiver.server.server_close()


def test_a_command_is_told_what_happened_and_what_to_do(
    valkey_url: str, engine: Engine, tmp_path: Path, command: str, heard: Path
) -> None:
    with Rig(valkey_url, engine) as rig:
        go_back(rig, "a")
        with RunningWorker(shell_of(rig, tmp_path), notify_command=command) as worker:
            worker.wait_for("told", times=3)
    by_kind = {each["kind"]: each for each in told(heard)}
    assert {*by_kind} == KINDS
    back, letters = by_kind["redis_went_back"], by_kind["dead_letters"]
    meaning, advice = MEANINGS[Kind.REDIS_WENT_BACK]
    assert (back["what"], back["what_to_do"], back["count"]) == (f"{meaning} in shard 0", advice, 1)
    assert back["incidents"][0]["exposed_from"].endswith("Z")
    assert back["text"] == f"likes: redis_went_back: {meaning} in shard 0. What to do: {advice}"
    assert letters["what"] == "1 entry could not be counted"
    assert [(each["item"], each["delta"]) for each in letters["dead_letters"]] == [("a", 5)]


def test_a_url_is_told_with_its_credentials_where_they_belong(likes: Shell, receiver: Receiver) -> None:
    url = f"http://mary:s%65cret@127.0.0.1:{receiver.port}/hooks/token-of-mine?k=v"
    with RunningWorker(likes, notify_url=url) as worker:
        worker.wait_for("told", times=3)
        lines = worker.lines
    assert {each["kind"] for each in receiver.bodies} == KINDS
    assert receiver.headers[0]["Authorization"] == f"Basic {b64encode(b'mary:secret').decode()}"
    assert receiver.headers[0]["Content-Type"] == "application/json"
    shown = "\n".join(lines) + likes("check", notify_url=url).out
    assert f"http://127.0.0.1:{receiver.port}/…" in shown
    assert not [secret for secret in ("cret", "token-of-mine", "k=v") if secret in shown]


def flushes(workers: list[RunningWorker]) -> int:
    """How often they flushed something, all together."""
    return sum(len(worker.said("flushed")) for worker in workers)


def test_each_is_told_once_by_several_workers_and_by_those_after_them(
    rig: Rig, likes: Shell, command: str, heard: Path
) -> None:
    with ExitStack() as running:
        workers = [running.enter_context(RunningWorker(likes, notify_command=command)) for _ in range(3)]
        wait_until(lambda: len(told(heard)) >= 3, timeout=30)
        go_back(rig, "b")
        wait_until(lambda: len(told(heard)) >= 6, timeout=30)
        for _ in workers:
            rounds = flushes(workers)
            rig.likes.like("c")
            wait_until(lambda rounds=rounds: flushes(workers) > rounds, timeout=30)
        assert [worker.stop() for worker in workers] == [0, 0, 0]
    with RunningWorker(likes, notify_command=command) as worker:
        rig.likes.like("d")
        worker.wait_for("flushed")
        assert worker.stop() == 0
    incidents = [each["id"] for notice in told(heard) for each in notice.get("incidents", [])]
    letters = [each["id"] for notice in told(heard) for each in notice.get("dead_letters", [])]
    assert sorted(incidents) == [incident.id for incident in rig.incidents()]
    assert sorted(letters) == [letter.id for letter in rig.dead_letters()]


def test_what_a_killed_worker_had_not_told_the_next_one_does(rig: Rig, likes: Shell, receiver: Receiver) -> None:
    receiver.silent.clear()
    url = f"http://127.0.0.1:{receiver.port}/"
    with RunningWorker(likes, notify_url=url) as worker:
        wait_until(lambda: receiver.bodies, timeout=30)
        worker.kill()
    receiver.silent.set()
    later(rig)
    with RunningWorker(likes, notify_url=url) as worker:
        worker.wait_for("told", times=3)
    assert {each["kind"] for each in receiver.bodies[1:]} == KINDS


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("/no/such/program", "cannot be started"),
        ("sh -c 'cat >/dev/null; echo oh dear >&2; exit 3'", "it ended with 3: oh dear"),
        ("sh -c 'cat >/dev/null; sleep 1000'", "it did not end within 10 s"),
        ("true", None),  # it need not read what it is told
    ],
)
def test_a_command_that_fails_is_logged_and_stops_no_flush(
    rig: Rig, likes: Shell, command: str, reason: str | None
) -> None:
    with RunningWorker(likes, notify_command=command, metrics_port=(port := free_port())) as worker:
        rig.likes.like("z")
        wait_until(lambda: rig.totals().get("z") == 1)
        result = "told" if reason is None else "failed"
        wait_until(lambda: scrape(f"http://127.0.0.1:{port}")("likes_notices_total", result=result), timeout=30)
        if reason:
            assert reason in worker.wait_for("not_told")["reason"]
        assert worker.stop() == 0


def test_a_url_that_fails_or_leads_elsewhere_is_logged(rig: Rig, likes: Shell, receiver: Receiver) -> None:
    for receiver.status in (500, 302):
        with RunningWorker(likes, notify_url=f"http://127.0.0.1:{receiver.port}/x") as worker:
            failed = worker.wait_for("not_told")
            assert failed["reason"] == f"it answered {receiver.status}"
            assert worker.stop() == 0
        later(rig)
    with RunningWorker(likes, notify_url=f"http://user:hidden@127.0.0.1:{free_port()}/x") as worker:
        assert "refused" in worker.wait_for("not_told")["reason"]
        assert "hidden" not in "".join(worker.lines)


def test_a_url_that_never_answers_holds_no_flush_and_no_end(rig: Rig, likes: Shell, receiver: Receiver) -> None:
    receiver.silent.clear()
    with RunningWorker(likes, notify_url=f"http://127.0.0.1:{receiver.port}/") as worker:
        wait_until(lambda: receiver.bodies, timeout=30)
        rig.likes.like("z")
        wait_until(lambda: rig.totals().get("z") == 1)
        assert worker.stop(signal.SIGTERM) == 0
    assert rig.totals()["z"] == 1


def test_nothing_that_was_liked_reaches_a_shell(
    valkey_url: str, sqlite_engine: Engine, tmp_path: Path, command: str, heard: Path
) -> None:
    item = "$(touch owned)`touch owned`;touch owned '\"é😀"  # in the folder the worker runs in
    with Rig(valkey_url, sqlite_engine) as rig:
        go_back(rig, item)
        with RunningWorker(shell_of(rig, tmp_path), notify_command=command) as worker:
            worker.wait_for("told", times=3)
    (letters,) = [each["dead_letters"] for each in told(heard) if each["kind"] == "dead_letters"]
    assert letters[0]["item"] == item
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("setting", "value", "allowed"),
    [
        ("notify_url", "ftp://example.org/my-token", "http:// or https:// URLs"),
        ("notify_url", "https:///my-token", "http:// or https:// URLs"),
        ("notify_command", "tell 'unfinished", "quoted as in a shell"),
    ],
)
def test_what_cannot_be_told_is_refused_at_the_start(tmp_path: Path, setting: str, value: str, allowed: str) -> None:
    ended = Shell(tmp_path)("worker", **{setting: value})
    assert ended.code == 2
    assert f"LIKES_{setting.upper()}" in ended.err
    assert allowed in ended.err
    assert "my-token" not in ended.err
