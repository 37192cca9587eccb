"""A user who lacks a right for a while: nothing is lost, nothing counted twice, the audit is green all the time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import pytest
import redis
from sqlalchemy import Engine

from likes.errors import LikesError, RedisRefused
from likes.reports.audit import audit
from tests.rig import Rig
from tests.scenes import SCENES, commands_of

USER, PASSWORD = "limited", "any"
ALL_COMMANDS = sorted({command for scene in SCENES for command in commands_of(scene.script)})


class Days:
    """Likes and flushes by a user whose rights come and go; `posted` is what was accepted."""

    def __init__(self, user: Rig, admin: Rig) -> None:
        self.user = user
        self.admin = admin
        self.posted: Counter[str] = Counter()

    def like(self, *items: str) -> None:
        for item in items:
            with suppress(RedisRefused):
                self.user.likes.like(item)
                self.posted[item] += 1

    def assert_in_order(self) -> None:
        found = audit(self.admin.worker.buffer, self.admin.worker.ledger, self.admin.shards)
        assert (list(found.problems), self.admin.kinds(), self.admin.dead_letters()) == ([], [], [])
        assert found.accepted == sum(self.posted.values())


@pytest.fixture
def days(redis_url: str, sqlite_engine: Engine) -> Iterator[Days]:
    with redis.Redis.from_url(redis_url) as client:
        client.acl_setuser(USER, enabled=True, nopass=True, keys="*", categories=["+@all"])
        user_url = redis_url.replace("//", f"//{USER}:{PASSWORD}@")
        with (
            Rig(user_url, sqlite_engine, shards=2, batch_items=2) as user,
            Rig(redis_url, sqlite_engine, shards=2) as admin,
        ):
            yield Days(user, admin)
        client.acl_deluser(USER)


@pytest.mark.parametrize("command", ALL_COMMANDS)
def test_while_a_right_is_missing_nothing_is_lost_or_counted_twice(days: Days, command: str) -> None:
    days.like("a", "b", "c", "d")
    days.user.flush()
    days.like("a", "e", "f")
    days.admin.redis.acl_setuser(USER, enabled=True, commands=[f"-{command.lower()}"])
    days.like("a", "g", "h")
    days.assert_in_order()
    for _ in range(2):
        with suppress(LikesError):
            days.user.flush()
        days.assert_in_order()
    days.admin.redis.acl_setuser(USER, enabled=True, commands=[f"+{command.lower()}"])
    days.like("a", "g", "i")
    days.user.flush()
    days.assert_in_order()
    assert days.admin.totals() == days.posted
