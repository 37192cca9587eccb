"""docs/patterns.md: what commands do to a TTL, and how keys expire, on a real server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.servers import RedisServer
from tests.snippets import DOCS, block
from tests.waiting import wait_until

PAGE = DOCS / "patterns.md"


@pytest.mark.parametrize("begins", ["SET visit 1 EX 100", "DEBUG SET-ACTIVE-EXPIRE 0"])
def test_each_command_answers_as_the_page_says(own_valkey: Callable[..., RedisServer], begins: str) -> None:
    server = own_valkey("--enable-debug-command", "yes")
    with redis.Redis.from_url(server.url, decode_responses=True, protocol=2) as client:
        for line in block(PAGE, "text", begins).splitlines():
            words, _, expected = line.partition("→")
            if words.startswith("GET"):
                wait_for_the_next_milliseconds(client)
            assert str(execute(client, words.split())) == expected.strip(), line


def execute(client: Any, words: list[str]) -> Any:
    connection = client.connection_pool.get_connection()
    try:
        connection.send_command(*words)
        return connection.read_response()
    finally:
        client.connection_pool.release(connection)


def wait_for_the_next_milliseconds(client: Any) -> None:
    began = client.time()
    wait_until(lambda: client.time() > (began[0], began[1] + 5000))
