"""`likes serve` starts with nothing configured, or says in one line why it does not, with nothing left behind."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.raw_http import Wire
from tests.running_api import RunningApi
from tests.served_slowly import SlowShell
from tests.shell import Shell
from tests.waiting import wait_until

LIKE = b"POST /v1/items/a/likes HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_with_nothing_configured(tmp_path: Path) -> None:
    likes = Shell(tmp_path)
    with RunningApi(likes, "--port", "0", http_port=None) as api:
        assert api.address.startswith("http://127.0.0.1:")
        assert api.client.post("/v1/items/a/likes").status_code == 202
        assert api.client.get("/v1/items/a").json()["total"] == 1
        assert api.stop() == 0
    assert [line for line in api.lines if '"error"' in line or '"warning"' in line] == []
    assert likes("get", "a", "--json").json[0]["pending"] == 1
    assert likes("embedded", "stop").code == 0


def test_help_shows_the_short_flags(tmp_path: Path) -> None:
    page = Shell(tmp_path)("serve", "--help").out
    for flag in ("--host", "--port", "--unix-socket", "--processes", "--with-worker"):
        assert f"{flag} " in page
    assert "--http-port" not in page and "serve-process" not in Shell(tmp_path)("--help").out


def test_flags_win_over_the_environment_in_every_process(tmp_path: Path, valkey_url: str) -> None:
    likes = Shell(tmp_path, redis_url="redis://127.0.0.1:1/0", prefix="other")
    words = ("--redis-url", valkey_url, "--prefix", "mine", "--processes", "2", "--host", "localhost")
    with RunningApi(likes, *words) as api:
        assert api.said("serving")[0]["processes"] == 2
        assert api.client.post("/v1/items/a/likes").status_code == 202
        assert api.stop() == 0
    assert likes("get", "a", "--json", redis_url=valkey_url, prefix="mine").json[0]["pending"] == 1


def test_ipv6(tmp_path: Path, valkey_url: str, sqlite_url: str) -> None:
    likes = Shell(tmp_path, redis_url=valkey_url, database_url=sqlite_url)
    with RunningApi(likes, "--host", "::1") as api:
        assert api.address.startswith("http://[::1]:")
        assert api.client.post("/v1/items/a/likes").status_code == 202


LONG = "/tmp/" + "x" * 103


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--host", "203.0.113.1"), 2, "the host '203.0.113.1' is no address of this machine; choose another"),
        (("--host", "no such host"), 2, "the host 'no such host' cannot be listened on"),
        (("--unix-socket", LONG), 2, f"the path '{LONG}' is longer than 107 bytes"),
        (("--unix-socket", "/no/such/folder/a.sock"), 1, "/no/such/folder/a.sock cannot be listened on: No such file"),
        (("--unix-socket", "/dev/null"), 1, "/dev/null cannot be listened on: there is something else"),
        (("--port", "65536"), 2, "LIKES_HTTP_PORT is '65536'"),
        (("--processes", "0"), 2, "LIKES_HTTP_PROCESSES is '0'"),
    ],
)
def test_where_it_cannot_listen_it_says_so(tmp_path: Path, words: tuple[str, ...], code: int, said: str) -> None:
    ran = Shell(tmp_path, api_keys="k" * 16)("serve", *words)
    assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1), ran
    assert ran.err.startswith(f"Error: {said}")
    assert not (tmp_path / "data").exists(), "nothing else was started"


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = Shell(tmp_path)("serve", "--port", str(port))
    assert (ran.code, ran.err) == (
        1,
        f"Error: port {port} of 127.0.0.1 is taken by another program; choose another with --port\n",
    )
    assert not (tmp_path / "data").exists(), "nothing else was started"


def test_a_unix_socket_that_is_taken_or_was_left_behind(tmp_path: Path, valkey_url: str, sqlite_url: str) -> None:
    likes = Shell(tmp_path, redis_url=valkey_url, database_url=sqlite_url, http_unix_socket=tmp_path / "a.sock")
    with RunningApi(likes) as api:
        ran = likes("serve")
        assert (ran.code, "another program listens there" in ran.err) == (1, True)
        assert api.client.post("/v1/items/a/likes").status_code == 202
    assert (tmp_path / "a.sock").exists(), "it was killed"
    with RunningApi(likes) as api:
        assert api.client.post("/v1/items/a/likes").status_code == 202
        assert api.stop() == 0
    assert not (tmp_path / "a.sock").exists()


def test_without_the_extra(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'uvicorn' else found(name, *more)\n"
    )
    likes = Shell(tmp_path)
    environment = likes.environment()
    environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{environment['PYTHONPATH']}"
    ran = subprocess.run(
        [sys.executable, "-m", "likes", "serve"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (
        1,
        "Error: likes serve needs some more packages: pip install 'likes[http]'\n",
    )
    assert not (tmp_path / "data").exists()


def test_a_first_process_that_does_not_start_ends_it(tmp_path: Path, valkey_url: str, sqlite_url: str) -> None:
    likes = SlowShell(tmp_path, redis_url=valkey_url, database_url=sqlite_url, http_port=0, http_processes=3)
    process = likes.start("serve", "--prefix", "does-not-start")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.decode().splitlines() == ["Error: it does not start"]


def test_on_a_terminal(tmp_path: Path, valkey_url: str, sqlite_url: str) -> None:
    """Ctrl-C ends it in good order, heeded once though the whole group gets it; so does a terminal that is closed."""
    for end in ("Ctrl-C", "closed"):
        likes = Shell(tmp_path, redis_url=valkey_url, database_url=sqlite_url, http_port=0)
        child, terminal = pty.fork()
        if not child:
            os.chdir(tmp_path)
            environment = {
                **likes.environment(),
                "PYTHONUNBUFFERED": "",
            }  # what cannot be written is kept, as for people
            os.execve(sys.executable, [sys.executable, "-m", "likes", "serve"], environment)
        shown = b""
        while b"serving on http://127.0.0.1:" not in shown or not shown.endswith(b"\n"):
            shown += os.read(terminal, 1000)
        address = shown.split(b"serving on ")[1].split()[0].decode()
        with Wire(address) as wire:
            assert wire.ask(LIKE).status == 202
        if end == "Ctrl-C":
            os.write(terminal, b"\x03")
            while b"stopped" not in shown:
                shown += os.read(terminal, 1000)
            assert shown.count(b"SIGINT") == 1 and b"Traceback" not in shown
        else:
            os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        if end == "Ctrl-C":
            os.close(terminal)
        assert_is_free(address)


def test_no_process_outlives_it(likes: Shell) -> None:
    with RunningApi(likes, "--with-worker", "--processes", "2") as api:
        api.wait_for("started")
        children = children_of(api.process.pid)
        assert len(children) == 3
        assert all(os.getpgid(pid) == pid for pid in children), "Ctrl-C in a terminal does not reach them"
        api.send(signal.SIGKILL)
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), timeout=20)
        assert_is_free(api.address)


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def assert_is_free(address: str) -> None:
    host, port = address.removeprefix("http://").rsplit(":", 1)
    with socket.create_server((host, int(port))):
        pass
