"""On one connection, likes that differ in their item alone are not parsed again: nobody can tell by the answers."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pytest

from tests.api.test_hot_route import CASES, SLOWLY, TYPE, Answer, answer, comparable, post
from tests.running_api import RunningApi

THREE = '{"count":3,"counter":"views"}'


class Conversation:
    """One connection: what is sent, and what is answered."""

    def __init__(self, sock: socket.socket, answers: BinaryIO) -> None:
        self._sock = sock
        self._answers = answers

    def ask(self, *pieces: str, answers: int = 1) -> list[Answer]:
        """Send pieces, each once those before have arrived, and read so many answers."""
        for piece in pieces:
            self._sock.sendall(piece.encode())
        return [answer(self._answers) for _ in range(answers)]

    def pending(self, *pieces: str, answers: int = 1) -> list[tuple[str, int]]:
        """The item and the pending delta of each answer."""
        told = [json.loads(body) for _, _, body in self.ask(*pieces, answers=answers)]
        return [(each["item"], each["pending"]) for each in told]


@contextmanager
def conversation(api: RunningApi) -> Iterator[Conversation]:
    """A connection, with whatever is sent going out at once."""
    host, port = api.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock, sock.makefile("rb") as answers:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Conversation(sock, answers)


def test_the_second_is_answered_as_the_application_does(api: RunningApi) -> None:
    differing = {}
    for case in CASES:
        path, body, head = map(str, case.values)
        with conversation(api) as first, conversation(api) as other:
            status, _, _ = first.ask(post("before", body, head))[0]
            if "202" not in status:
                continue
            again = comparable(*first.ask(post(path, body, head))[0])
            slow = comparable(*other.ask(post(path, body, head + SLOWLY))[0])
        if again != slow:
            differing[case.id] = (again, slow)
    assert not differing


@pytest.mark.parametrize(("body", "head", "each"), [("", "", 1), (THREE, TYPE, 3)])
def test_each_is_counted_once(api: RunningApi, body: str, head: str, each: int) -> None:
    with conversation(api) as likes:
        counted = [likes.pending(post(f"item{n % 2}", body, head))[0] for n in range(6)]
    assert counted == [(f"item{n % 2}", each * (n // 2 + 1)) for n in range(6)]


def test_another_body_or_another_head_is_read_anew(api: RunningApi) -> None:
    with conversation(api) as likes:
        assert likes.pending(post("a", '{"count":3}', TYPE)) == [("a", 3)]
        assert likes.pending(post("a", '{"count":4}', TYPE)) == [("a", 7)]
        assert likes.pending(post("a")) == [("a", 8)]
        assert likes.pending(post("a", head=SLOWLY)) == [("a", 9)]
        assert likes.pending(post("a")) == [("a", 10)]
        assert likes.ask(post("a", head="x-by: 1\r\n").replace("host: localhost", "host: a"))[0][0].split()[1] == "403"
        assert likes.pending(post("a")) == [("a", 11)]


@pytest.mark.parametrize(("body", "head"), [("", ""), ('{"count":1}', TYPE)])
def test_in_pieces(api: RunningApi, body: str, head: str) -> None:
    request = post("a", body, head)
    with conversation(api) as likes:
        for n, cut in enumerate(range(1, len(request), 7)):
            assert likes.pending(request) == [("a", 2 * n + 1)]
            assert likes.pending(request[:cut], request[cut:]) == [("a", 2 * n + 2)]


@pytest.mark.parametrize(("body", "head"), [("", ""), ('{"count":1}', TYPE)])
def test_several_in_one_piece_are_each_counted(api: RunningApi, body: str, head: str) -> None:
    """Also where the same piece comes again."""
    two = post("a", body, head) + post("b", body, head)
    with conversation(api) as likes:
        for n in range(1, 4):
            assert likes.pending(two, answers=2) == [("a", n), ("b", n)]
        assert likes.pending(post("a", body, head)) == [("a", 4)]
        assert likes.pending(two, answers=2) == [("a", 5), ("b", 4)]
