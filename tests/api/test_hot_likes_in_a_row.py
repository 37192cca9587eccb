"""On one connection, likes that differ in their item alone are not parsed again: nobody can tell by the answers."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.api.test_hot_route import APPLICATION, CASES, HOT, SLOWLY, TYPE, Case, same, who
from tests.raw_http import Wire
from tests.running_api import RunningApi
from tests.served_slowly import SlowShell
from tests.servers import Server

KINDS = [("", ""), ('{"count":1}', TYPE)]  # body, head


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, valkey_server: Server, sqlite_template: Path) -> Iterator[RunningApi]:
    folder = tmp_path_factory.mktemp("row")
    database = f"sqlite:///{shutil.copy(sqlite_template, folder)}"
    with RunningApi(SlowShell(folder, redis_url=valkey_server.url, database_url=database, prefix=folder.name)) as api:
        yield api


@contextmanager
def connection(api: RunningApi) -> Iterator[Wire]:
    """One on which whatever is sent goes out at once."""
    with Wire(api.address) as wire:
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield wire


def pending(wire: Wire, *pieces: bytes, answers: int = 1) -> list[tuple[str, int]]:
    """Send pieces; the item and the pending delta of each answer."""
    for piece in pieces:
        wire.send(piece)
    told = [wire.answer().json for _ in range(answers)]
    return [(each["item"], each["pending"]) for each in told]


def test_the_second_is_answered_as_the_first_would_be(api: RunningApi) -> None:
    wrong: dict[str, Any] = {}
    for case in CASES:
        with connection(api) as wire, connection(api) as other:
            plain = wire.ask(Case(HOT, "before", case.body, case.head).request())
            if who(plain) != HOT or "close" in plain.headers.get("connection", ""):
                continue
            again, slow = wire.ask(case.request()), other.ask(case.request(SLOWLY))
        added = slow.json.get("pending", 0) - again.json.get("pending", 0)
        if who(again) != case.by or same(again) != same(slow) or added != slow.json.get("delta", 0):
            wrong[str(case)] = again, slow
    assert not wrong


@pytest.mark.parametrize(("body", "head", "each"), [("", "", 1), ('{"count":3,"counter":"views"}', TYPE, 3)])
def test_each_is_counted_once(api: RunningApi, body: str, head: str, each: int) -> None:
    with connection(api) as wire:
        counted = [pending(wire, Case(HOT, f"item{n % 2}", body, head).request())[0] for n in range(6)]
    assert counted == [(f"item{n % 2}", each * (n // 2 + 1)) for n in range(6)]


def test_another_body_or_another_head_is_read_anew(api: RunningApi) -> None:
    with connection(api) as wire:
        assert pending(wire, Case(HOT, "anew", '{"count":3}', TYPE).request()) == [("anew", 3)]
        assert pending(wire, Case(HOT, "anew", '{"count":4}', TYPE).request()) == [("anew", 7)]
        assert pending(wire, Case(HOT, "anew").request()) == [("anew", 8)]
        assert pending(wire, Case(APPLICATION, "anew").request(SLOWLY)) == [("anew", 9)]
        assert pending(wire, Case(HOT, "anew").request()) == [("anew", 10)]
        assert wire.ask(Case(APPLICATION, "anew").request(host="evil.example")).status == 403
        assert pending(wire, Case(HOT, "anew").request()) == [("anew", 11)]


@pytest.mark.parametrize(("body", "head"), KINDS)
def test_in_pieces(api: RunningApi, body: str, head: str) -> None:
    item = f"pieces{len(body)}"
    request = Case(HOT, item, body, head).request()
    with connection(api) as wire:
        for n, cut in enumerate(range(1, len(request), 7)):
            assert pending(wire, request) == [(item, 2 * n + 1)]
            assert pending(wire, request[:cut], request[cut:]) == [(item, 2 * n + 2)]


@pytest.mark.parametrize(("body", "head"), KINDS)
def test_several_in_one_piece_are_each_counted(api: RunningApi, body: str, head: str) -> None:
    """Also where the same piece comes again."""
    a, b = f"a{len(body)}", f"b{len(body)}"
    two = Case(HOT, a, body, head).request() + Case(HOT, b, body, head).request()
    with connection(api) as wire:
        for n in range(1, 4):
            assert pending(wire, two, answers=2) == [(a, n), (b, n)]
        assert pending(wire, Case(HOT, a, body, head).request()) == [(a, 4)]
        assert pending(wire, two, answers=2) == [(a, 5), (b, 4)]


def test_a_body_that_looks_like_the_next_like_is_a_body(api: RunningApi) -> None:
    """It comes by itself, once the server has said that it may: else who sends the body could add a request."""
    like = Case(HOT, "hidden").request()
    fields = f"host: localhost\r\n{TYPE}expect: 100-continue\r\ncontent-length: {len(like)}\r\n"
    head = f"POST /v1/likes HTTP/1.1\r\n{fields}\r\n"
    with connection(api) as wire:
        assert who(wire.ask(Case(HOT, "before").request())) == HOT
        assert wire.ask(head.encode()).status == 100
        assert wire.ask(like).status == 400
    with connection(api) as wire:
        assert pending(wire, like) == [("hidden", 1)]
