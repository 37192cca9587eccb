"""Every script on sessions does all or nothing, whichever command is not permitted; sent twice, it does it once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from likes.buffer.calls import Call, Script
from likes.buffer.links.link import ask
from likes.connect import Places
from likes.errors import RedisRefused
from likes.sessions import scripts
from likes.sessions.keys import session_keys
from likes.sessions.session import Begun, Ended, Life, Session
from likes.sessions.token import Place
from tests.scenes import commands_of

OURS = "1" * 32
LIFE = Life(1800, 3600)
ONE, OTHER = Place(3, "a" * 64), Place(3, "b" * 64)
KEYS = session_keys("likes", 3)
CART = Begun("mary", {"cart": "[1]", "theme": '"dark"'}, ("cart",), 5)
# Counts of requests, and what tells when, is no loss.
PASSING = {"hits", "last_seen", "expires_at", "created_at", "ended_at"}


@dataclass(frozen=True)
class Scene:
    name: str
    script: Script
    act: Callable[[], Call[Any]]
    before: tuple[Callable[[], Call[Any]], ...] = ()


def begun() -> Call[Any]:
    return scripts.begin(KEYS, ONE, CART, LIFE)


def begun_without_cart() -> Call[Any]:
    return scripts.begin(KEYS, ONE, Begun("mary", {"theme": '"dark"'}, ("cart",)), LIFE)


def over() -> Call[Any]:
    return scripts.begin(KEYS, ONE, CART, Life(0, 3600))


def ended() -> Call[Any]:
    return scripts.end(KEYS, ONE, "mary", LIFE)


def slid() -> Call[Any]:
    session: Any = Session(ONE, "mary", None, None, None, 0, {}, (), None)  # type: ignore[arg-type]
    return scripts.slide(KEYS, session, Life(1900, 3600))


SCENES = [
    Scene("begin", scripts.BEGIN, begun),
    Scene("begin with a TTL", scripts.BEGIN, begun_without_cart),
    Scene("touch", scripts.TOUCH, lambda: scripts.touch(KEYS, ONE, LIFE, hit=True), (begun,)),
    Scene("slide", scripts.SLIDE, slid, (begun,)),
    Scene("slide with a TTL", scripts.SLIDE, slid, (begun_without_cart,)),
    Scene("change", scripts.CHANGE, lambda: scripts.change(KEYS, ONE, {"a": "1"}, ["theme"], LIFE), (begun,)),
    Scene("remove", scripts.CHANGE, lambda: scripts.change(KEYS, ONE, {}, ["cart"], LIFE), (begun,)),
    Scene("keep", scripts.CHANGE, lambda: scripts.change(KEYS, ONE, {"cart": "1"}, [], LIFE), (begun_without_cart,)),
    Scene("end", scripts.END, ended, (begun,)),
    Scene("end with a TTL", scripts.END, ended, (begun_without_cart,)),
    Scene("seal again", scripts.END, ended, (begun, ended)),
    Scene("expire", scripts.END, lambda: scripts.end(KEYS, ONE, "mary", LIFE, expired=True, database=OURS), (over,)),
    Scene("move", scripts.END, lambda: scripts.end(KEYS, ONE, "mary", LIFE, moved_to=OTHER, due_in=60), (begun,)),
    Scene("rotate", scripts.ROTATE, lambda: scripts.rotate(KEYS, ONE, OTHER, "mary", LIFE), (begun,)),
    Scene("sweep", scripts.SWEEP, lambda: scripts.sweep(KEYS, OURS, 10, LIFE), (begun, ended)),
]  # fmt: skip
WITH_EACH_COMMAND = [
    pytest.param(scene, command, id=f"{scene.name} without {command}")
    for scene in SCENES
    for command in commands_of(scene.script)
    if command != "TIME"  # gone without
]


class Stage:
    """A shard as an administrator sees it (`redis`), and as a user who may not do everything (`limited`)."""

    def __init__(self, url: str) -> None:
        self.redis: Any = redis.Redis.from_url(url, decode_responses=True)
        self.permit()
        self._links = [
            Places(place, None, None, redis_timeout=5, database_timeout=5).open_link()
            for place in (url, url.replace("//", "//limited:any@"))
        ]

    def close(self) -> None:
        for link in self._links:
            link.close()
        self.redis.acl_deluser("limited")
        self.redis.close()

    def permit(self, *rules: str) -> None:
        self.redis.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">any", "~{likes:*", "+@all", *rules)

    def prepare(self, scene: Scene) -> Any:
        self.redis.flushall()
        self.redis.set(KEYS.owner, OURS)
        for call in scene.before:
            ask(self._links[0], [call()])
        return self.holdings()

    def act(self, scene: Scene) -> Any:
        return ask(self._links[1], [scene.act()])[0]

    def holdings(self) -> Any:
        held: dict[str, Any] = {}
        for key in sorted(self.redis.keys()):
            kind = self.redis.type(key)
            if kind == "hash":
                fields = self.redis.hgetall(key).items()
                held[key] = {name: "" if name in PASSING else value for name, value in fields}
                held[f"{key} expires"] = self.redis.ttl(key) > 0
            elif kind == "zset":
                held[key] = self.redis.zrange(key, 0, -1)
            else:
                held[key] = self.redis.get(key)
        return held


@pytest.fixture
def stage(redis_url: str) -> Iterator[Stage]:
    stage = Stage(redis_url)
    yield stage
    stage.close()


@pytest.mark.parametrize(("scene", "command"), WITH_EACH_COMMAND)
def test_without_any_one_command_a_session_stays_as_it_is_or_all_is_done(
    stage: Stage, scene: Scene, command: str
) -> None:
    stage.prepare(scene)
    stage.act(scene)
    after = stage.holdings()
    before = stage.prepare(scene)
    stage.permit(f"-{command.lower()}")
    try:
        stage.act(scene)
    except RedisRefused:
        held = stage.holdings()
        # That it expires by itself is put off first: a sweep ends it all the same.
        assert without_expiry(held) == without_expiry(before)
        stage.permit()
        stage.act(scene)
    assert stage.holdings() == after


def without_expiry(held: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in held.items() if not name.endswith(" expires")}


@pytest.mark.parametrize(
    "scene", [scene for scene in SCENES if scene.script != scripts.SWEEP], ids=lambda scene: scene.name
)
def test_sent_twice_it_is_done_once(stage: Stage, scene: Scene) -> None:
    stage.prepare(scene)
    stage.act(scene)
    after = stage.holdings()
    stage.act(scene)
    assert stage.holdings() == after


def test_a_sweep_ends_no_session_of_another_database(stage: Stage) -> None:
    of_another = scripts.end(KEYS, ONE, "mary", LIFE, expired=True, database="2" * 32)
    held = stage.prepare(Scene("expire", scripts.END, lambda: of_another, (over,)))
    assert ask(stage._links[1], [of_another, scripts.sweep(KEYS, "2" * 32, 10, LIFE)]) == [None, None]
    assert stage.holdings() == held


def test_an_ended_session_is_dropped_by_its_database_alone(stage: Stage) -> None:
    scene = Scene("drop", scripts.DROP, ended, (begun,))
    stage.prepare(scene)
    waits: Ended = stage.act(scene)
    (zero,) = ask(stage._links[1], [scripts.drop(KEYS, waits, "2" * 32)])
    (another,) = ask(stage._links[1], [scripts.drop(KEYS, waits._replace(at=waits.at + 1), OURS)])
    assert (zero, another) == (False, False)
    for command in ("zrem", "del", "hget", "get"):
        stage.permit(f"-{command}")
        held = stage.holdings()
        with pytest.raises(RedisRefused):
            ask(stage._links[1], [scripts.drop(KEYS, waits, OURS)])
        if command != "del":  # the last: behind it only what is permitted
            assert stage.holdings() == held
    stage.permit()
    assert ask(stage._links[1], [scripts.drop(KEYS, waits, OURS)]) == [True]
    assert stage.redis.keys() == ["{likes:3}:owner"]
