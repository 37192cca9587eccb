"""Who is slow, silent or too many: answered or closed in time, each connection by itself."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from select import select

import pytest

from tests.raw_http import Wire
from tests.running_api import RunningApi
from tests.served_slowly import SlowShell
from tests.shell import Shell
from tests.waiting import wait_until

SHORT = {"head_seconds": 1, "body_seconds": 1, "idle_seconds": 2, "stuck_seconds": 1, "linger_seconds": 1}
HEAD = b"POST /v1/items/a/likes HTTP/1.1\r\nHost: localhost\r\n"
READ = b"GET /v1/items/a HTTP/1.1\r\nHost: localhost\r\n\r\n"


class LimitedShell(SlowShell):
    """With limits of the test's own."""

    limits: dict[str, float]

    def environment(self, **settings: object) -> dict[str, str]:
        """What it runs with."""
        return {**super().environment(**settings), "LIMITS": json.dumps(self.limits)}


@pytest.fixture
def api(request: pytest.FixtureRequest, tmp_path: Path, valkey_url: str, sqlite_url: str) -> Iterator[RunningApi]:
    likes = LimitedShell(tmp_path, redis_url=valkey_url, database_url=sqlite_url)
    likes.limits = SHORT | getattr(request, "param", {})
    assert likes("migrate").code == 0
    with RunningApi(likes) as running:
        yield running


@pytest.mark.parametrize("api", [{"body_seconds": 75}], indirect=True)
def test_a_head_that_does_not_come_is_a_time_out(api: RunningApi) -> None:
    with Wire(api.address) as begun, Wire(api.address) as without_end:
        begun.send(b"\r\n")
        without_end.send(HEAD)
        for wire in (begun, without_end):
            answer = wire.answer()
            assert (answer.status, answer.json["type"], "head" in answer.json["detail"]) == (
                408,
                "request-timeout",
                True,
            )
            assert wire.ends()


@pytest.mark.parametrize("api", [{"head_seconds": 75}], indirect=True)
def test_a_body_that_does_not_come_is_a_time_out(api: RunningApi) -> None:
    with Wire(api.address) as announced, Wire(api.address) as chunked:
        announced.send(HEAD + b"Content-Length: 12\r\n\r\n" + b'{"count":')
        chunked.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
        for wire in (announced, chunked):
            answer = wire.answer()
            assert (answer.status, "body" in answer.json["detail"]) == (408, True)
            assert wire.ends()


def test_a_head_that_trickles_is_a_time_out(api: RunningApi) -> None:
    with Wire(api.address) as wire:
        wire.send(HEAD)

        def answered_or_more_sent() -> bool:
            if select([wire.socket], [], [], 0.05)[0]:
                return True
            wire.send(b"X: y\r\n")
            return False

        wait_until(answered_or_more_sent)
        assert wire.answer().status == 408


def test_the_second_request_of_a_connection_has_a_time_of_its_own(api: RunningApi) -> None:
    with Wire(api.address) as wire:
        for _ in range(3):
            assert wire.ask(READ).status == 200
        wire.send(READ[:20])
        assert wire.answer().status == 408


def test_a_connection_without_a_request_is_closed_with_nothing_said(api: RunningApi) -> None:
    with Wire(api.address) as fresh, Wire(api.address) as used:
        assert used.ask(READ).status == 200
        assert fresh.ends() and used.ends()


def test_who_waits_for_an_answer_is_not_idle(api: RunningApi) -> None:
    with Wire(api.address) as waiting, Wire(api.address) as fresh:
        waiting.send(b"GET /last HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert fresh.ends()
        assert api.stop() == 0
        assert waiting.answer().json == {"answered": True}


def test_who_reads_no_answer_is_closed(api: RunningApi) -> None:
    with Wire(api.address) as wire:
        wire.send(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wire.wait_for(b"\r\n\r\n")
        wait_until(lambda: not is_kept(wire))
        with pytest.raises((ConnectionResetError, EOFError)):
            while True:
                wire._more()


def is_kept(wire: Wire) -> bool:
    """True while the server's end is open, whatever this end has still to read."""
    ends = [f":{end[1]:04X}" for end in (wire.socket.getpeername(), wire.socket.getsockname())]
    connections = [line.split()[1:4] for line in Path("/proc/net/tcp").read_text().splitlines()]
    return any([local[-5:], remote[-5:], state] == [*ends, "01"] for local, remote, state in connections)


@pytest.mark.parametrize("api", [{"connections": 3, "idle_seconds": 75}], indirect=True)
def test_too_many_connections_are_told_so(api: RunningApi) -> None:
    with ExitStack() as opened:
        there = [opened.enter_context(Wire(api.address)) for _ in range(3)]
        assert [wire.ask(READ).status for wire in there] == [200] * 3
        with Wire(api.address) as one_more:
            answer = one_more.answer()
            assert (answer.status, answer.json["type"]) == (503, "too-many-connections")
            assert answer.headers["retry-after"] == "1"
            assert one_more.ends()
        assert there[0].ask(READ).status == 200
        there[1].send(READ[:20])
        assert there[1].answer().status == 408
        assert there[2].ask(READ).status == 200, "without a request it may stay for longer"
    with Wire(api.address) as later:
        assert later.ask(READ).status == 200


def test_more_connections_than_files_that_a_process_may_have_at_first(
    tmp_path: Path, valkey_url: str, sqlite_url: str
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        running = RunningApi(Shell(tmp_path, redis_url=valkey_url, database_url=sqlite_url))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with running as api, ExitStack() as opened:
        for _ in range(500):
            opened.enter_context(Wire(api.address))
        with Wire(api.address) as wire:
            assert wire.ask(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200
