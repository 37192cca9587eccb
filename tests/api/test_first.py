"""The thinnest way through the API: a like is posted, flushed and read."""

from __future__ import annotations

from tests.running_api import RunningApi
from tests.shell import Shell


def test_a_like_over_http_is_flushed_and_read(likes: Shell) -> None:
    with RunningApi(likes) as api:
        posted = api.client.post("/v1/items/a%2Fb/likes")
        assert (posted.status_code, posted.json()) == (
            202,
            {"item": "a/b", "counter": "likes", "delta": 1, "pending": 1},
        )
        assert likes("flush").code == 0
        read = api.client.get("/v1/items/a%2Fb").json()
        assert (read["total"], read["database"], read["pending"]) == (1, 1, 0)
