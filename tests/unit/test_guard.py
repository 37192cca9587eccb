"""When a connection is ended that does not get on, by a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn

from likes.api.serving.guard import Guard
from likes.api.serving.limits import Limits
from likes.api.serving.requests import State

READ = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


class Line(asyncio.Transport):
    """Keeps what is written, and how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.ended = ""

    def write(self, data: Any) -> None:
        self.written += data

    def write_eof(self) -> None:
        self.ended = "half"

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def is_closing(self) -> bool:
        return self.ended in ("closed", "aborted")

    def pause_reading(self) -> None:
        """Nothing is read here."""

    def resume_reading(self) -> None:
        """Nor here."""


class Connection:
    """A connection with the default limits. A call of `answer` has one request answered; what asks for /begun gets the
    head of its answer at once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.line = Line()
        self._loop = loop
        self._state = State(Limits())
        self._may_answer = asyncio.Semaphore(0)
        config = uvicorn.Config(self._app, interface="asgi3", log_config=None, ws="none", access_log=False)
        self.guard = Guard(config, self._state, {}, loop)
        self.guard.connection_made(self.line)

    def receive(self, data: bytes, at: float) -> None:
        self._state.now = at
        self.guard.data_received(data)

    def answer(self, at: float) -> None:
        self._state.now = at
        self._may_answer.release()
        self._loop.run_until_complete(asyncio.wait(self._state.tasks, return_when=asyncio.FIRST_COMPLETED))
        self.go_on()

    def go_on(self) -> None:
        """Let the application do what it can."""
        for _ in range(3):
            self._loop.run_until_complete(asyncio.sleep(0))

    def stop(self, at: float, grace: float) -> None:
        self._state.now = at
        self._state.stopping = grace
        self.guard.shutdown()

    def ended(self, at: float) -> str:
        """How it has ended, once it was looked at then."""
        self._state.now = at
        self.guard.look()
        return self.line.ended

    async def _app(self, scope: Any, _receive: Any, send: Any) -> None:
        is_begun = scope["path"] == "/begun"
        if not is_begun:
            await self._may_answer.acquire()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        if is_begun:
            await self._may_answer.acquire()
        await send({"type": "http.response.body"})


@pytest.fixture
def connection() -> Iterator[Connection]:
    with asyncio.Runner() as runner:  # which ends what is under way, too
        yield Connection(runner.get_loop())


def test_one_without_a_request(connection: Connection) -> None:
    assert [connection.ended(at) for at in (75, 75.1)] == ["", "closed"]
    assert not connection.line.written


def test_one_without_another_request(connection: Connection) -> None:
    connection.receive(READ, 50)
    connection.answer(200)
    assert b"204" in connection.line.written
    assert [connection.ended(at) for at in (275, 275.1)] == ["", "closed"]


def test_a_head_that_does_not_come_whatever_else_does(connection: Connection) -> None:
    connection.receive(HEAD, 50)
    connection.receive(b"X: y\r\n", 59)
    assert connection.ended(60) == ""
    assert connection.ended(60.1) == "half"
    assert b" 408 " in connection.line.written and b"the head of" in connection.line.written
    assert [connection.ended(at) for at in (62.1, 62.2)] == ["half", "aborted"], "two seconds to read that"


def test_a_body_that_does_not_come_whatever_else_does(connection: Connection) -> None:
    connection.receive(HEAD, 50)
    connection.receive(b"Content-Length: 5\r\n\r\n", 58)
    connection.receive(b"a", 77)
    assert connection.ended(78) == ""
    assert connection.ended(78.1) == "half"
    assert b" 408 " in connection.line.written and b"the body of" in connection.line.written


def test_who_waits_for_an_answer_waits_and_who_does_not_read_it_is_left(connection: Connection) -> None:
    connection.receive(READ, 50)
    assert connection.ended(1000) == ""
    connection.guard.pause_writing()
    assert [connection.ended(at) for at in (1030, 1030.1)] == ["", "aborted"]


def test_at_the_end_one_without_a_request_is_closed_after_the_grace(connection: Connection) -> None:
    connection.stop(50, grace=3)
    assert [connection.ended(at) for at in (53, 53.1)] == ["", "closed"]


def test_at_the_end_a_request_has_to_come_soon(connection: Connection) -> None:
    connection.receive(HEAD, 48)
    connection.stop(50, grace=3)
    assert [connection.ended(at) for at in (52, 52.1)] == ["", "half"]
    assert b" 408 " in connection.line.written


def test_at_the_end_an_answer_is_the_last_one(connection: Connection) -> None:
    connection.receive(READ, 50)
    connection.stop(51, grace=0)
    assert connection.ended(52) == ""
    connection.answer(53)
    assert b"connection: close" in connection.line.written
    assert connection.line.ended == "closed"


def test_who_was_told_nothing_when_it_is_cut_off_is_told_so_once(connection: Connection) -> None:
    connection.receive(READ + READ, 50)
    connection.guard.cut_off()
    assert connection.line.ended == "closed"
    connection.answer(51)  # too late
    assert connection.line.written.count(b"HTTP/1.1 ") == connection.line.written.count(b"HTTP/1.1 503 ") == 1


def test_nothing_is_said_in_the_middle_of_an_answer_whatever_waits_behind_it(connection: Connection) -> None:
    connection.receive(READ + READ.replace(b"/ ", b"/begun ", 1) + READ, 50)
    connection.answer(51)
    assert connection.line.written.count(b"HTTP/1.1 204 ") == 2
    told = connection.line.written
    connection.guard.cut_off()
    assert (connection.line.written, connection.line.ended) == (told, "closed")


def test_one_that_is_answered_before_the_application_is_told_too(connection: Connection) -> None:
    connection.receive(READ, 50)
    connection.answer(51)
    under_way: Any = SimpleNamespace(response_complete=False, response_started=False, disconnected=False)
    connection.guard.cycle = under_way
    connection.guard.cut_off()
    assert under_way.disconnected
    assert b"HTTP/1.1 503 " in connection.line.written
