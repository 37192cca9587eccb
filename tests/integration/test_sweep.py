"""The worker's sweep: what it ends again where Redis went back, whose sessions it leaves alone, what it prunes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from likes.sessions.session import Life
from likes.sessions.sweeping import Sweeping
from likes.sessions.token import SESSION_SHARDS, shard_for
from likes.sql import sessions as sql_sessions
from likes.sql.engine import open_engine, reading, writing
from likes.sql.identity import make_id
from likes.sql.ledger import Ledger
from likes.sql.schema import migrate
from likes.sql.tables import sessions
from tests.session_rig import SessionRig
from tests.waiting import wait_until
from worker import sweep

CART = {"cart": ["book"]}


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[SessionRig]:
    with SessionRig(valkey_url, engine) as rig:
        yield rig


@pytest.fixture
def lite(valkey_url: str, sqlite_engine: Engine) -> Iterator[SessionRig]:
    with SessionRig(valkey_url, sqlite_engine) as rig:
        yield rig


def log_outs(rig: SessionRig) -> list[str]:
    """Sessions of users and of nobody, ended in every way there is."""
    return [
        rig.begin("mary", keep=("cart",), **CART),
        rig.begin(keep=("cart",), **CART),
        rig.begin("bob"),
        rig.begin(),
    ]


def end_all(rig: SessionRig, tokens: list[str]) -> list[str]:
    """Their new tokens, where they live on."""
    assert rig.end(tokens[0])
    rotated = rig.rotate(tokens[1])
    assert rig.threads.revoke("bob") == 1
    return [rotated, rig.log_in(tokens[3], "sue")]


@pytest.mark.parametrize("sweeps", [0, 1])
def test_what_had_ended_is_ended_again_where_redis_went_back(rig: SessionRig, sweeps: int) -> None:
    """To before the last sweep, or to after it: a restored snapshot, a replica that was behind."""
    tokens = log_outs(rig)
    copy = rig.copy_redis()
    for _ in range(sweeps):
        rig.sweeper.run()
    end_all(rig, tokens)
    rows = rig.rows()
    rig.restore_redis(copy)
    assert all(rig.touch(token) for token in tokens)  # so much is lost with Redis's memory until the next flush
    rig.sweeper.run()
    assert [rig.touch(token) for token in tokens] == [None] * 4
    assert rig.rows() == rows
    assert rig.session_keys() == []


def test_how_far_redis_went_back_the_number_of_the_sweep_tells(
    lite: SessionRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a sweep only looks at what ended since the one before."""
    monkeypatch.setattr(sweep, "CLOCKS_APART", timedelta(0))
    tokens = log_outs(lite)
    copy = lite.copy_redis()
    end_all(lite, tokens)
    last = max(row.ended_at for row in lite.rows())
    wait_until(lambda: lite.redis_now() > last + timedelta(milliseconds=2))
    lite.sweeper.run()
    lite.restore_redis(copy)
    lite.sweeper.run()
    assert [lite.touch(token) for token in tokens] == [None] * 4


def test_a_worker_that_has_just_started_ends_them_again_too(rig: SessionRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "ROWS", 2)
    tokens = log_outs(rig)
    copy = rig.copy_redis()
    end_all(rig, tokens)
    rig.sweeper.run()
    rig.restore_redis(copy)
    rig.sweep().run()
    assert [rig.touch(token) for token in tokens] == [None] * 4


def test_when_its_time_is_up_it_goes_on_where_it_was(lite: SessionRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "ROWS", 1)
    tokens = [lite.begin("mary") for _ in range(5)]
    copy = lite.copy_redis()
    assert lite.threads.revoke("mary") == 5
    lite.restore_redis(copy)
    ticks = iter(range(1000))
    sweeper = sweep.Sweep(lite.sweeper._sweeping, lite.worker.ledger, clock=lambda: 2.0 * next(ticks))
    alive = [len(lite.threads.of_user("mary"))]
    while alive[-1]:
        sweeper.run()
        alive.append(len(lite.threads.of_user("mary")))
        assert alive[-1] < alive[-2]
    assert len(alive) > 2
    assert [lite.touch(token) for token in tokens] == [None] * 5


def test_sessions_that_live_are_left_alone(lite: SessionRig) -> None:
    tokens = [lite.begin("mary", keep=("cart",), **CART), lite.begin()]
    for _ in range(3):
        lite.sweeper.run()
    assert all(lite.touch(token) for token in tokens)
    lite.redis.flushall()
    lite.flush()
    lite.sweeper.run()
    assert lite.rows() == []


def test_another_databases_sessions_are_left_alone(
    lite: SessionRig, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A laptop's worker and API on production's Redis: production's own worker writes the cart, and drops it."""
    laptop = open_engine(postgres_url, timeout=10)
    migrate(laptop)
    make_id(laptop)
    token = lite.begin("mary", keep=("cart",), **CART)
    lite.store._places = replace(lite.places, database=postgres_url)
    assert lite.end(token)
    with lite.new_worker() as worker:
        worker.buffer.ownership.database = make_id(laptop)
        sweep.Sweep(Sweeping(worker.buffer, lite.life), Ledger(laptop, lite.prefix, "laptop")).run()
    assert "belongs to the database" in caplog.text
    with reading(laptop) as connection:
        assert connection.execute(select(sessions)).all() == []
    laptop.dispose()
    assert lite.kept() == []
    lite.sweeper.run()
    assert lite.kept() == [CART]
    assert lite.session_keys() == []


def test_trouble_in_one_shard_keeps_no_other_from_being_swept(
    lite: SessionRig, caplog: pytest.LogCaptureFixture
) -> None:
    shard = next(shard for shard in range(SESSION_SHARDS) if shard != shard_for("mary"))
    lite.redis.set(f"{{likes:{shard}}}:session_due", "none of ours")
    token = lite.begin("mary", keep=("cart",), **CART)
    lite.redis.set(f"{{likes:{shard_for('mary')}}}:owner", "")  # as if nobody had claimed it yet
    assert lite.end(token)
    lite.redis.delete(f"{{likes:{shard_for('mary')}}}:owner")
    for _ in range(3):
        lite.sweeper.run()
    assert lite.kept() == [CART]
    assert caplog.text.count("sessions that are over wait in Redis") == 1


def test_a_user_that_the_database_cannot_hold_is_written_escaped(valkey_url: str, postgres_server: Any) -> None:
    postgres_server._execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    url = postgres_server.url_of("latin")
    try:
        engine = open_engine(url, timeout=10)
        migrate(engine)
        with SessionRig(valkey_url, engine) as rig:
            for user in ("mary", "☃"):
                assert rig.end(rig.begin(user, keep=("cart",), cart="☃"))
            assert [row.username for row in rig.rows()] == ["mary", "\\u2603"]
            assert rig.kept() == [{"cart": "☃"}] * 2
        engine.dispose()
    finally:
        postgres_server.drop("latin")


def test_rows_that_kept_nothing_are_pruned_once_redis_can_hold_their_sessions_no_more(
    rig: SessionRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_sessions, "CHUNK", 2)
    for number in range(5):
        rig.end(rig.begin("mary"))
        rig.end(rig.begin("mary", keep=("cart",), cart=number))
    now = datetime.now(UTC)
    assert rig.sweeper.prune(now + timedelta(days=1), seconds=5) == 0  # they may live still
    with writing(rig.engine) as connection:
        connection.execute(update(sessions).values(ended_at=now - timedelta(seconds=rig.life.longest + 200)))
    assert rig.sweeper.prune(now - timedelta(days=30), seconds=5) == 0  # the retention
    assert rig.sweeper.prune(now, seconds=5) == 5
    assert sorted(kept["cart"] for kept in rig.kept()) == [*range(5)]


def test_a_session_is_over_when_its_longest_is_made_shorter(lite: SessionRig) -> None:
    token = lite.begin("mary")
    lite.store._sessions.life = Life(1800, 0.001)
    wait_until(lambda: lite.touch(token) is None)
