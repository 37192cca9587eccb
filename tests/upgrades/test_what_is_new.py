"""What this version keeps in Redis and the one before does not know: it is left alone, and works as before."""

from __future__ import annotations

import pytest

from tests.live_shards import HERE
from tests.rig import Rig
from tests.running_api import RunningApi
from tests.running_worker import RunningWorker
from tests.shell import Shell
from tests.upgrades.previous import Previous
from tests.waiting import wait_until

KEY = {"Idempotency-Key": "one"}


def new_keys(rig: Rig) -> dict[bytes, bytes]:
    """All keys of sessions and of idempotency keys, with what they hold."""
    names = [name for name in rig.redis.scan_iter() if b":session" in name or b":once" in name]
    return {name: rig.redis.dump(name) for name in names}


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_sessions_and_idempotency_keys_are_left_alone_by_a_worker_that_does_not_know_them(
    rig: Rig, new: Shell, old: Previous
) -> None:
    with RunningApi(new) as api:
        cart = {"user": "mary", "fields": {"cart": ["book"]}, "keep": ["cart"]}
        token = {"Authorization": f"Bearer {api.client.post('/v1/sessions', json=cart).json()['token']}"}
        first = api.client.post("/v1/items/a/likes", headers=KEY)
        assert new("flush").code == 0
        before = new_keys(rig)
        assert all(any(kind in name for name in before) for kind in (b"}:session:", b"}:sessions:mary", b":once:"))
        rig.likes.like("a", 5)
        with RunningWorker(old) as worker:
            wait_until(lambda: rig.totals() == {"a": 6}, 30)
            assert worker.stop() == 0
        assert new_keys(rig) == before
        assert api.client.post("/v1/items/a/likes", headers=KEY).json() == first.json()
        assert api.client.get("/v1/session", headers=token).json()["fields"] == {"cart": ["book"]}
        assert api.client.get("/v1/items/a").json()["total"] == 6
    assert old("audit").code == 0
    assert old("status", "--json").json["problems"] == []


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_after_a_restored_database_the_cache_is_cleared(rig: Rig, new: Shell, old: Previous) -> None:
    rig.likes.like(item := HERE[0], 5)
    rig.flush()
    backup = rig.copy_sql()
    rig.likes.like(item, 7)
    rig.flush()
    assert rig.likes.total(item) == 12  # which is cached now
    rig.restore_sql(backup)
    assert old("flush").code == 0
    assert rig.totals() == {item: 5}
    assert new("cache", "clear").code == 0
    assert rig.likes.total(item) == 5


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_after_dead_letters_were_applied_the_cache_is_cleared(rig: Rig, new: Shell, old: Previous) -> None:
    rig.likes.like(item := HERE[0], 5)
    rig.flush()
    rig.likes.like(item, 7)
    backup = rig.copy_redis()
    rig.redis.flushall()
    rig.likes.like(HERE[1])
    rig.flush()
    now = rig.copy_redis()
    for copy in (backup, now):
        rig.restore_redis(copy)
        rig.flush()
    assert rig.likes.total(item) == 5  # which is cached now
    assert old("dead-letters", "apply", "--all").code == 0
    assert rig.totals()[item] == 12
    assert new("cache", "clear").code == 0
    assert rig.likes.total(item) == 12
