"""What a caller and an operator see when something breaks. Read it after `test_counting`, from top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from likes import DatabaseUnavailable, LikeCounter, OutcomeUnknown, RedisUnavailable
from likes.buffer.scripts import ADD
from tests.proxy import Proxy
from tests.rig import Rig
from tests.servers import RedisServer
from tests.stepping import SteppedWorker


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine) as rig:
        yield rig


def test_a_worker_that_dies_in_the_middle_loses_nothing(rig: Rig) -> None:
    rig.likes.like("video:42", 5)
    with SteppedWorker(rig) as worker:
        worker.go_until("hand_off").step()
        worker.kill()  # it took what was pending, and has not written it yet
    live = rig.likes.live(["video:42"])["video:42"]
    assert (live.total, live.in_flight, live.database) == (5, 5, 0)
    rig.flush()
    assert rig.totals() == {"video:42": 5}


def test_a_worker_that_dies_after_the_commit_counts_nothing_twice(rig: Rig) -> None:
    rig.likes.like("video:42", 5)
    with SteppedWorker(rig) as worker:
        worker.go_until("acknowledge")
        worker.kill()  # the batch is in SQL, and in Redis still
    assert rig.likes.total("video:42") == 5
    rig.flush()
    assert rig.totals() == {"video:42": 5}


def test_a_lost_reply_is_asked_for_again_and_counts_once(rig: Rig) -> None:
    with Proxy(str(rig.places.redis)) as proxy, LikeCounter(redis_url=proxy.url, shards=1) as likes:
        likes.like("video:42")
        proxy.lose_reply_to(ADD.sha)
        assert likes.like("video:42") == 2
    assert rig.likes.total("video:42") == 2


def test_an_outcome_that_nobody_can_know_is_an_error_that_says_so(rig: Rig) -> None:
    with Proxy(str(rig.places.redis)) as proxy, LikeCounter(redis_url=proxy.url, shards=1) as likes:
        likes.like("video:42")
        proxy.lose_reply_to(ADD.sha, then=rig.redis.flushall)  # Redis was replaced before it could be asked again
        with pytest.raises(OutcomeUnknown, match="whether 'video:42' was counted is unknown") as caught:
            likes.like("video:42", 3)
    assert caught.value.unknown == {"video:42": 3}


def test_redis_away_is_an_error_and_nothing_is_counted(own_valkey: Callable[..., RedisServer]) -> None:
    server = own_valkey("--appendfsync", "always")
    with LikeCounter(redis_url=server.url) as likes:
        likes.like("video:42")
        server.kill()
        with pytest.raises(RedisUnavailable, match="cannot be reached"):
            likes.like("video:42")
        server.start()
        assert likes.like("video:42") == 2


def test_likes_are_accepted_while_the_database_is_away(rig: Rig, tmp_path: Path) -> None:
    database = Path(str(rig.engine.url.database))
    rig.likes.like("video:42")
    rig.engine.dispose()
    database.rename(tmp_path / "away")
    tmp_path.joinpath("likes.db").mkdir()
    with pytest.raises(DatabaseUnavailable):
        rig.flush()
    assert rig.likes.like("video:42") == 2
    database.rmdir()
    tmp_path.joinpath("away").rename(database)
    rig.flush()
    assert rig.totals() == {"video:42": 2}


def test_an_emptied_redis_is_noticed_recorded_and_counting_goes_on(rig: Rig) -> None:
    rig.likes.like("video:42", 5)
    rig.flush()
    rig.likes.like("video:42", 100)
    rig.redis.flushall()  # the hundred are lost: the most that can be, what was posted since the last flush
    rig.likes.like("video:42")
    rig.flush()
    assert rig.totals() == {"video:42": 6}
    assert rig.kinds() == ["redis_replaced"]


def test_what_a_restored_redis_remembers_is_set_aside_for_you_to_look_at(rig: Rig) -> None:
    rig.likes.like("video:42", 5)
    backup = rig.copy_redis()
    rig.flush()
    rig.restore_redis(backup)  # five likes that the database has already
    rig.flush()
    assert rig.totals() == {"video:42": 5}
    (letter,) = rig.dead_letters()
    assert (letter.item, letter.delta, letter.reason) == ("video:42", 5, "its epoch was given up")
    assert rig.kinds() == ["redis_went_back", "set_aside"]
