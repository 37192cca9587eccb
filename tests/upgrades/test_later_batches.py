"""A batch in flight that only a later version can read: left as it is and named, and all else goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from sqlalchemy import Engine

from likes import LikeCounter
from likes.batch import FORMAT
from likes.errors import LikesError
from likes.sessions.session import Life
from likes.sql.urls import url_of
from tests.live_shards import FIRST, HERE, THERE, LiveShards, act_on_it, put_in_order
from tests.rig import Rig
from tests.running_worker import RunningWorker
from tests.session_rig import SessionRig
from tests.shell import Shell
from tests.stepping import SteppedWorker
from tests.waiting import wait_until

NAMED = "was sealed by a later version (its format is"


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine, shards=2) as rig:
        yield rig


@pytest.fixture
def live(rig: Rig, valkey_url: str) -> LiveShards:
    return LiveShards(rig, valkey_url)


def make_later(rig: Rig, key: str, *content: Any) -> bytes:
    """Let a later version have sealed the batch; returns it as it was."""
    before: bytes = rig.redis.get(key)
    rig.redis.set(key, msgpack.packb([FORMAT + 1, *(content or msgpack.unpackb(before, raw=True)[1:])]))
    return before


def assert_untouched(rig: Rig, key: str, dump: bytes) -> None:
    assert rig.redis.dump(key) == dump
    assert rig.redis.lindex(key.replace("batch:2", "in_flight"), 0).startswith(b"2:")
    assert (rig.dead_letters(), rig.kinds()) == ([], [])


@pytest.mark.parametrize("content", [[], [{"anything": 1}], [7] * 20])
def test_whatever_is_in_it_it_is_left_and_named_and_all_else_goes_on(live: LiveShards, content: list[Any]) -> None:
    rig, key = live.rig, live.key("batch:2")
    before = make_later(rig, key, *content)
    dump = rig.redis.dump(key)
    told = act_on_it(live)  # likes here and there, flushes; and the other shard goes on
    assert {who for who, words in told.items() if f"the batch at {key} {NAMED} {FORMAT + 1}" in words} == {
        "status", "audit", "flush", "work",
    }  # fmt: skip
    assert (told["get"], told["post"]) == ("", "")
    assert "update this one" in told["work"]
    assert_untouched(rig, key, dump)
    assert rig.retired() == {}
    rig.redis.set(key, before)  # a worker of that version is there
    put_in_order(live)
    assert live.lost() == {} and rig.dead_letters() == []


def test_a_live_total_says_that_it_is_not_exact(live: LiveShards) -> None:
    before = make_later(live.rig, live.key("batch:2"))
    total = live.rig.likes.live([FIRST])[FIRST]
    assert (total.exact, total.pending) == (False, 300)
    live.rig.redis.set(live.key("batch:2"), before)
    assert live.rig.likes.live([FIRST])[FIRST].exact
    assert live.rig.likes.total(FIRST) == 321


def test_the_worker_check_and_status_say_what_to_do(live: LiveShards, tmp_path: Path) -> None:
    rig, key = live.rig, live.key("batch:2")
    make_later(rig, key)
    live.leases.give_back()
    shell = Shell(
        tmp_path, redis_url=live.redis_url, redis_name="redis", database_url=url_of(rig.engine), shards=2, interval=0.2
    )
    (found,) = [each for each in shell("check", "--json").json["findings"] if each["name"] == "batches"]
    assert found["level"] == "error" and key in found["found"] and "pip install --upgrade likes" in found["fix"]
    status = shell("status", "--json").json
    assert key in status["problems"][0] and status["in_flight_batches"] == 1
    assert status["in_flight_delta"] is None
    with RunningWorker(shell) as worker:
        assert key in worker.wait_for("trouble")["message"]
        assert any(each["name"] == "batches" for each in worker.said("finding"))
        assert worker.stop() == 0  # in a rolling deploy that is how it ends while a newer one flushes
        assert key in worker.said("left")[0]["message"]
    rig.redis.delete(key)


def test_redis_looks_replaced_and_the_epoch_is_kept_for_the_later_version(live: LiveShards) -> None:
    rig, key, old = live.rig, live.key("batch:2"), live.rig.epoch()
    before, dump = make_later(rig, key), rig.redis.dump(key)
    rig.redis.delete("{likes:0}:epoch")  # clients begin a fresh one
    with LikeCounter(redis_url=live.redis_url, shards=2) as client:
        client.add(dict.fromkeys(HERE, 5))
    live.accepted |= {item: live.accepted[item] + 5 for item in HERE}
    for _ in range(2):
        with pytest.raises(LikesError, match="later version"):
            rig.flush()
    assert_untouched(rig, key, dump)
    assert rig.retired() == {} and rig.cursor().epoch == old != rig.epoch()
    rig.redis.set(key, before)
    rig.flush()
    live.check()
    assert rig.dead_letters() == [] and rig.totals() == live.accepted


def hand_off(rig: Rig, count: int) -> None:
    """Leave so many likes of one item in flight."""
    rig.likes.like(FIRST, count)
    with SteppedWorker(rig) as worker:
        worker.go_until("hand_off").step()


@pytest.fixture
def given_up(rig: Rig) -> Callable[[], str]:
    """Redis went back. Called, it brings back what it held then, with batch 2 in flight, under an epoch given up."""
    rig.likes.like(FIRST, 1)
    rig.flush()
    hand_off(rig, 20)
    copy, old = rig.copy_redis(), rig.epoch()
    rig.flush()
    rig.likes.like(FIRST, 300)
    rig.flush()
    rig.restore_redis(copy)
    rig.flush()
    assert [*rig.retired()] == [old] and rig.epoch() != old

    def bring_back() -> str:
        for name, value in copy.items():
            if old.encode() in name:
                rig.redis.restore(name, 0, value)
        rig.redis.sadd("{likes:0}:epochs", old)
        return old

    return bring_back


def test_in_an_epoch_given_up_it_keeps_the_current_one_from_nothing(rig: Rig, given_up: Callable[[], str]) -> None:
    key = f"{{likes:0}}:{given_up()}:batch:2"
    make_later(rig, key)
    dump = rig.redis.dump(key)
    for count in (4000, 50_000):
        rig.likes.like(FIRST, count)
        with pytest.raises(LikesError, match="later version"):
            rig.flush()
    assert rig.totals() == {FIRST: 54_321}
    assert rig.redis.dump(key) == dump and rig.dead_letters() == []


def test_in_the_current_epoch_it_keeps_none_given_up_from_being_seen_to(rig: Rig, given_up: Callable[[], str]) -> None:
    hand_off(rig, 4000)
    before = make_later(rig, key := rig.key("batch:1"))
    old = given_up()
    assert rig.epochs() == {old, rig.epoch()}
    with pytest.raises(LikesError, match="later version"):
        rig.flush()
    assert rig.epochs() == {rig.epoch()} and [*rig.retired()] == [old]
    rig.redis.set(key, before)
    rig.flush()
    assert rig.totals() == {FIRST: 4321} and rig.dead_letters() == []


def test_sessions_end_and_dead_letters_are_told_meanwhile(
    valkey_url: str, sqlite_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """What a worker does beside flushing, it does while a batch waits."""
    caplog.set_level("WARNING", "likes.worker")
    with SessionRig(valkey_url, sqlite_engine, life=Life(idle=0.2, longest=60), shards=2) as rig:
        live = LiveShards(rig, valkey_url)
        rounds = live.rounds(rig.sweeper)
        make_later(rig, live.key("batch:2"))
        rig.redis.set(f"{{likes:1}}:{rig.epoch(1)}:delta:likes:{THERE[0]}", "no number")
        rig.begin("mary", keep=("cart",), cart=["book"])

        def goes_on() -> bool:
            with pytest.raises(LikesError, match="later version"):
                rounds.flush()
            return bool(rig.kept())

        wait_until(goes_on, 30)
        assert rig.kept() == [{"cart": ["book"]}]
        assert [letter.item for letter in rig.dead_letters()] == [THERE[0]]
        assert "dead letter 1" in caplog.text
