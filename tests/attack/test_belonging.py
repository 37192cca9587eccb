"""Another database at a Redis, another Redis at a database: refused before anything is touched, with the way out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from likes.errors import LikesError, WrongDatabase, WrongRedis
from likes.reports.status import read_status
from likes.sql.engine import open_engine
from likes.sql.identity import make_fresh_id
from likes.sql.schema import migrate
from likes.sql.tables import metadata
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.running_api import RunningApi
from tests.running_worker import RunningWorker
from tests.servers import RedisServer
from tests.shell import Shell
from tests.stepping import SteppedWorker

SHARDS = 3
EVERYWHERE = {f"video:{number}": 1 for number in range(40)}


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    """Production: its Redis and its database."""
    with Rig(valkey_url, engine, shards=SHARDS) as rig:
        yield rig


@pytest.fixture
def laptop(rig: Rig, tmp_path: Path) -> Iterator[Rig]:
    """Production's Redis, with a new database."""
    engine = open_engine(f"sqlite:///{tmp_path}/laptop.db", timeout=10)
    migrate(engine)
    with Rig(rig.places.redis or "", engine, shards=SHARDS) as laptop:
        yield laptop
    engine.dispose()


def assert_refused(stranger: Rig, of: Rig) -> None:
    """The stranger's flush is refused, and nothing is written anywhere."""
    before = stranger.copy_redis(), stranger.copy_sql(), of.copy_sql()
    with pytest.raises(WrongDatabase, match="likes adopt --database"):
        stranger.worker.flush()
    assert (stranger.copy_redis(), stranger.copy_sql(), of.copy_sql()) == before


def test_status_says_whose_a_redis_is(rig: Rig, laptop: Rig) -> None:
    def problems(of: Rig) -> list[str]:
        return list(read_status(of.worker.buffer, of.worker.ledger, SHARDS).problems)

    assert problems(laptop) == []
    rig.flush()
    assert problems(rig) == []
    assert [problem.split("it ")[1][:24] for problem in problems(laptop)] == ["belongs to the database "] * SHARDS
    laptop.adopt_database()
    assert problems(laptop) == []
    assert len(problems(rig)) == SHARDS


def test_a_read_says_whose_a_redis_is_and_what_to_do(tmp_path: Path, valkey_url: str) -> None:
    own, other = (Shell(tmp_path, redis_url=valkey_url, database_url=f"sqlite:///{tmp_path}/{n}.db") for n in range(2))
    for likes in (own, other):
        assert likes("migrate").code == 0
    assert own("post", "a").code == own("flush").code == 0
    read = other("get", "a", "--json")
    assert (read.code, read.json[0]["exact"], read.json[0]["doubt"]) == (0, False, "other-database")
    for said in ("belongs to another database", "likes check", "LIKES_DATABASE_URL", "likes adopt --database"):
        assert said in read.err
    assert "emptied" not in read.err
    assert "belongs to another database" in other("check").out
    with RunningApi(other) as api:
        told = api.client.get("/v1/items/a").json()
        assert (told["exact"], told["doubt"]) == (False, "other-database")
    assert own("get", "a").err == ""


def test_a_laptop_with_productions_redis_takes_nothing(rig: Rig, laptop: Rig) -> None:
    rig.flush()
    rig.likes.add(EVERYWHERE)
    assert_refused(laptop, of=rig)
    laptop.likes.add(EVERYWHERE)  # likes go on being accepted, whoever asks
    rig.flush()
    assert rig.totals() == dict.fromkeys(EVERYWHERE, 2)
    assert rig.kinds() == []


def test_it_is_refused_where_a_single_shard_is_anothers(rig: Rig, laptop: Rig) -> None:
    rig.likes.add(EVERYWHERE)
    rig.flush()
    owner = rig.worker.ledger.known()[0]
    for shard in range(SHARDS):
        rig.redis.delete(*(f"{{likes:{n}}}:owner" for n in range(SHARDS)))
        rig.redis.set(f"{{likes:{shard}}}:owner", owner)
        assert_refused(laptop, of=rig)
    rig.flush()
    assert set(rig.owners().values()) == {rig.worker.ledger.known()[0]}


def test_an_idle_redis_is_claimed_whole_at_the_first_flush(rig: Rig, laptop: Rig) -> None:
    rig.flush()
    assert set(rig.owners().values()) == {rig.worker.ledger.known()[0]}
    laptop.likes.add(EVERYWHERE)
    assert_refused(laptop, of=rig)


def test_of_two_databases_that_claim_at_once_one_gets_all(rig: Rig, laptop: Rig) -> None:
    with SteppedWorker(rig) as one, SteppedWorker(laptop) as other:
        one.go_until("claim")
        other.go_until("claim").step()
        with pytest.raises(WrongDatabase):
            one.finish()
        other.finish()
    assert set(rig.owners().values()) == {laptop.worker.ledger.known()[0]}


def test_a_takeover_moves_what_was_shown_and_may_be_begun_again(rig: Rig, laptop: Rig) -> None:
    rig.likes.add(EVERYWHERE)
    rig.flush()
    shown = rig.owners()
    ownership, ours = laptop.worker.buffer.ownership, laptop.worker.ledger.make_database_id()
    ownership.take_over({0: shown[0]}, ours)  # and dies
    for each in (rig, laptop):
        with pytest.raises(WrongDatabase):
            each.flush()
    with pytest.raises(WrongDatabase):
        ownership.take_over({0: ours, 1: "somebody else's"}, ours)
    laptop.adopt_database()
    rig.likes.add(EVERYWHERE)
    laptop.flush()
    assert laptop.totals() == EVERYWHERE
    assert_refused(rig, of=laptop)


def test_a_flush_under_way_ends_where_the_redis_was_taken_over(rig: Rig, laptop: Rig) -> None:
    rig.likes.add(EVERYWHERE)
    with SteppedWorker(rig) as worker:
        worker.go_until("hand_off")
        laptop.adopt_database()
        with pytest.raises(WrongDatabase):
            worker.finish()
    laptop.flush()
    assert (rig.totals(), laptop.totals()) == ({}, EVERYWHERE)


def test_a_forgotten_owner_is_refused_like_another_and_told_by_the_next_flush(rig: Rig) -> None:
    rig.flush()
    rig.likes.add(EVERYWHERE)
    with SteppedWorker(rig) as worker:
        worker.go_until("hand_off")
        rig.redis.delete("{likes:1}:owner")
        with pytest.raises(LikesError, match="shard 1 no longer names its database"):
            worker.finish()
    rig.flush()
    assert rig.totals() == EVERYWHERE
    assert rig.kinds() == []


def test_a_copy_of_a_database_is_refused_once_it_has_an_id_of_its_own(rig: Rig, laptop: Rig) -> None:
    rig.likes.add(EVERYWHERE)
    rig.flush()
    laptop.restore_sql({name: rows for name, rows in rig.copy_sql().items() if name in metadata.tables})
    make_fresh_id(laptop.engine)
    rig.likes.add(EVERYWHERE)
    assert_refused(laptop, of=rig)


def test_a_worker_on_a_laptop_takes_no_lease(rig: Rig, tmp_path: Path) -> None:
    rig.flush()
    rig.likes.add(EVERYWHERE)
    before = rig.copy_redis()
    with RunningWorker(Shell(tmp_path, redis_url=rig.places.redis), shards=SHARDS) as worker:
        assert worker.wait() == 1
        assert "likes adopt --database" in worker.lines[-1]
    assert rig.copy_redis() == before


# Two Redis.


def test_two_redis_of_one_address_are_told_apart_by_their_hosts(
    rig: Rig, own_valkey: Callable[..., RedisServer]
) -> None:
    rig.likes.add(EVERYWHERE)
    with rig.new_worker(redis_name="localhost:6379/0@production") as worker:
        worker.flush()
    with Rig(own_valkey().url, rig.engine, shards=SHARDS) as elsewhere:
        elsewhere.likes.add(EVERYWHERE)
        before = elsewhere.copy_redis()
        with (
            elsewhere.new_worker(
                redis_name="localhost:6379/0@laptop", former_redis_names=["localhost:6379/0"]
            ) as worker,
            pytest.raises(WrongRedis, match="belongs to the Redis localhost:6379/0@production"),
        ):
            worker.flush()
        assert elsewhere.copy_redis() == before


def test_a_name_of_the_former_form_is_renamed_in_silence(rig: Rig) -> None:
    with rig.new_worker(redis_name="localhost:6379/0") as worker:
        worker.flush()
    with rig.new_worker(redis_name="localhost:6379/0@production", former_redis_names=["localhost:6379/0"]) as worker:
        worker.flush()
    assert rig.cursor().redis_name == "localhost:6379/0@production"
    assert rig.kinds() == []


# The way out, as it is typed.


def test_an_operator_lets_a_redis_belong_to_a_new_database(rig: Rig, tmp_path: Path) -> None:
    rig.likes.add(EVERYWHERE)
    rig.flush()
    rig.likes.add(EVERYWHERE)
    likes = Shell(tmp_path, redis_url=rig.places.redis, shards=SHARDS)
    refused = likes("flush")
    assert refused.code == 1
    assert "likes adopt --database" in refused.err
    unsure = likes("adopt", "--database")
    assert unsure.code == 2
    assert "no longer to" in unsure.err
    assert likes("flush").code == 1
    adopted = likes("adopt", "--database", "--yes", "--json").json
    assert (adopted["from"], adopted["shards"]) == ([rig.worker.ledger.known()[0]], SHARDS)
    assert likes("flush", "--json").json["delta"] == len(EVERYWHERE)
    assert "database_adopted" in [incident["kind"] for incident in likes("status", "--json").json["newest_incidents"]]
    again = likes("adopt", "--database", "--yes", "--json").json
    assert (again["from"], again["shards"]) == ([], 0)


def test_adopting_an_emptied_redis_hides_no_loss(rig: Rig, tmp_path: Path) -> None:
    """Of shards that were never flushed with likes, too."""
    rig.flush()
    rig.likes.add(EVERYWHERE)
    rig.redis.flushall()
    likes = Shell(tmp_path, redis_url=rig.places.redis, database_url=url_of(rig.engine), shards=SHARDS)
    assert likes("adopt", "--database", "--yes").code == 0
    rig.flush()
    assert rig.kinds() == ["redis_replaced"]
    assert rig.totals() == {}


def test_what_cannot_be_adopted_is_not_told(rig: Rig, own_valkey: Callable[..., RedisServer], tmp_path: Path) -> None:
    """Of a replica nobody knows what its master holds."""
    rig.flush()
    replica = own_valkey("--replicaof", "127.0.0.1", "1")
    likes = Shell(tmp_path, redis_url=replica.url, database_url=url_of(rig.engine), shards=SHARDS)
    assert likes("adopt", "--database", "--yes").code in (1, 5)
    rig.flush()
    assert rig.kinds() == []


def test_fresh_alone_is_refused(tmp_path: Path) -> None:
    refused = Shell(tmp_path)("adopt", "--fresh")
    assert refused.code == 2
    assert "say --database with it" in refused.err
