"""`likes reshard` as people call it: what it asks and says, and likes and reads that go on all the while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Self

import pytest
from sqlalchemy import Engine

from likes import AddFailed, AsyncLikeCounter, LikeCounter, Resharding, WrongShards
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.running_api import RunningApi
from tests.running_worker import RunningWorker
from tests.shell import Shell
from tests.waiting import wait_until

ITEMS = [f"video:{number}" for number in range(24)]
PATIENCE = 60


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine, shards=16) as rig:
        yield rig


@pytest.fixture
def likes(rig: Rig, tmp_path: Path) -> Shell:
    places = {"redis_url": rig.places.redis, "database_url": url_of(rig.engine), "redis_name": "redis"}
    return Shell(tmp_path, **places, interval=0.3, log_format="json")


def test_it_asks_and_says_what_it_did(likes: Shell, rig: Rig) -> None:
    rig.likes.like("a")
    asked = likes("reshard", "4")
    assert asked.code == 2 and "Hold likes in 4 shards, not in 16, in Redis at" in asked.err
    assert "--yes" in asked.err
    done = likes("reshard", "4", "--yes")
    assert done.code == 0 and "LIKES_SHARDS=4" in done.out
    assert [line.split()[0] for line in done.err.splitlines()] == ["closing", "flushing", "pointing", "opening"]
    assert likes("reshard", "4", "--yes", "--json", shards=4).json == {"from": 4, "to": 4, "changed": False}
    assert likes("reshard", "9", "--yes", "--json", shards=4).json == {"from": 4, "to": 9, "changed": True}
    assert rig.totals() == {"a": 1}


@pytest.mark.parametrize("number", ["0", "1025", "-1", "many"])
def test_a_number_that_there_cannot_be(likes: Shell, number: str) -> None:
    refused = likes("reshard", "--yes", "--", number)
    assert refused.code == 2 and "Traceback" not in refused.err


def test_servers_that_are_away_or_another_databases(likes: Shell, rig: Rig, tmp_path: Path) -> None:
    rig.likes.like("a")
    rig.flush()
    assert likes("reshard", "4", "--yes", redis_url="redis://127.0.0.1:1/0").code == 5
    assert likes("reshard", "4", "--yes", database_url="postgresql://u@127.0.0.1:1/none").code == 5
    other = {"database_url": f"sqlite:///{tmp_path / 'other.db'}"}
    assert likes("migrate", **other).code == 0
    refused = likes("reshard", "4", "--yes", **other)
    assert refused.code == 1 and "belongs to the database" in refused.err
    assert not any(map(rig.redis.get, rig.redis.scan_iter("*:resharding"))), "shards are closed"
    rig.likes.like("a")


def test_everybody_with_another_number_says_so(likes: Shell, rig: Rig) -> None:
    rig.likes.like("a")
    told = "holds likes in 16 shards, and LIKES_SHARDS is 4 here"
    for words in (["post", "a"], ["get", "a"], ["flush"]):
        refused = likes(*words, shards=4)
        assert refused.code == 1 and told in refused.err, words
    with RunningWorker(likes, shards=4) as worker:
        assert told in worker.wait_for("failed")["message"]
        assert worker.wait() == 1
    with RunningApi(likes, shards=4) as api:
        answer = api.client.post("/v1/items/a/likes")
        assert (answer.status_code, answer.json()["type"]) == (503, "wrong-shards")
        assert api.client.get("/readyz").status_code == 503
    rig.flush()
    assert rig.totals() == {"a": 1}


def test_a_change_that_was_broken_off_is_told(likes: Shell, rig: Rig) -> None:
    rig.likes.like("a")
    rig.flush()
    for shard in range(16):
        rig.redis.set(f"{{likes:{shard}}}:resharding", 4)
    with RunningWorker(likes) as worker:
        assert "likes reshard 4" in worker.wait_for("resharding")["message"]
        status = likes("status", "--json").json
        assert ["likes reshard 4" in problem for problem in status["problems"]] == [True]
        assert status["shards"][0]["resharding"] == "4"
        with pytest.raises(Resharding):
            rig.likes.like("a", timeout=3)
        with RunningApi(likes) as api:
            answer = api.client.get("/readyz")
            assert (answer.status_code, answer.json()["status"], answer.json()["redis"]) == (
                200,
                "degraded",
                "resharding",
            )
        assert likes("reshard", "16", "--yes").code == 0
        assert rig.likes.like("a") >= 1
        wait_until(lambda: rig.totals() == {"a": 2}, PATIENCE)
        assert sum(each["to"] == "4" for each in worker.said("resharding")) == 1, "it is said once"
        assert worker.stop() == 0


def test_a_worker_that_the_change_ends_is_no_longer_shown(likes: Shell, rig: Rig) -> None:
    rig.likes.like("a")
    with RunningWorker(likes, interval=0.5) as worker:
        wait_until(lambda: likes("status", "--json").json["workers"] != [], PATIENCE)
        assert likes("reshard", "4", "--yes").code == 0
        worker.wait_for("failed")
        assert worker.wait() == 1
    assert likes("status", "--json", shards=4).json["workers"] == []


def test_an_audit_of_a_change_that_was_broken_off_blames_no_server(likes: Shell, rig: Rig) -> None:
    rig.likes.like("a")
    rig.flush()
    rig.redis.set("{likes:0}:resharding", 4)
    rig.redis.set("{likes:0}:epoch", f"{0:016x}s4")
    (problem,) = likes("audit", "--json").json["problems"]
    assert "its number of shards is being changed" in problem
    checked = likes("check", "--json").json["findings"]
    assert [each["fix"] for each in checked if each["name"] in ("resharding", "shards")] == ["likes reshard 4"]


class Traffic:
    """Clients that like and read without end, each started anew with the `number` once it is told; and what counted."""

    def __init__(self, rig: Rig, post: Callable[[str], bool]) -> None:
        self.sent, self.accepted = dict.fromkeys(ITEMS, 0), dict.fromkeys(ITEMS, 0)
        self.wrong: list[Any] = []
        self.failed: list[BaseException] = []
        self.rounds = {"threads": 0, "asyncio": 0, "http": 0, "reads": 0}
        self.number = 16
        self._places: dict[str, Any] = {"redis_url": rig.places.redis, "database_url": url_of(rig.engine)}
        self._post = post
        self._lock = Lock()
        self._over = Event()
        acts = (self._in_threads, lambda: asyncio.run(self._in_a_loop()), self._over_http, self._read)
        self._threads = [Thread(target=self._guarded, args=(act,)) for act in acts]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def goes_on(self) -> None:
        """Wait until each has done something more."""
        before = {**self.rounds}
        wait_until(lambda: self.failed or all(self.rounds[who] > before[who] + 2 for who in before), PATIENCE)

    def _guarded(self, act: Callable[[], object]) -> None:
        try:
            act()
        except BaseException as error:
            self.failed.append(error)
            raise

    def _book(self, book: dict[str, int], counts: Mapping[str, int]) -> None:
        with self._lock:
            for item, count in counts.items():
                book[item] += count

    def _client(self) -> LikeCounter:
        return LikeCounter(**self._places, shards=self.number, redis_timeout=PATIENCE, database_timeout=PATIENCE)

    def _in_threads(self) -> None:
        counts = dict.fromkeys(ITEMS, 1)
        while not self._over.is_set():
            with self._client() as likes:
                while not self._over.is_set():
                    self._book(self.sent, counts)
                    try:
                        likes.add(counts)
                    except (WrongShards, AddFailed) as error:  # it may come to some of the shards before they close
                        accepted = error.accepted if isinstance(error, AddFailed) else {}
                        if isinstance(error, AddFailed) and error.unknown:
                            raise
                        self._book(self.accepted, accepted)
                        self._book(self.sent, {item: -1 for item in ITEMS if item not in accepted})
                        break
                    self._book(self.accepted, counts)
                    self.rounds["threads"] += 1

    async def _in_a_loop(self) -> None:
        while not self._over.is_set():
            async with AsyncLikeCounter(**self._places, shards=self.number, redis_timeout=PATIENCE) as likes:
                is_right = True
                while is_right and not self._over.is_set():
                    self._book(self.sent, dict.fromkeys(ITEMS, 1))
                    done = await asyncio.gather(*map(likes.like, ITEMS), return_exceptions=True)
                    is_right = not any(isinstance(each, WrongShards) for each in done)
                    for item, each in zip(ITEMS, done, strict=True):
                        counted = was_counted(each)
                        self._book(self.accepted if counted else self.sent, {item: 1 if counted else -1})
                    self.rounds["asyncio"] += is_right

    def _over_http(self) -> None:
        while not self._over.is_set():
            item = ITEMS[self.rounds["http"] % len(ITEMS)]
            self._book(self.sent, {item: 1})
            counted = self._post(item)
            self._book(self.accepted if counted else self.sent, {item: 1 if counted else -1})
            self.rounds["http"] += counted

    def _read(self) -> None:
        while not self._over.is_set():
            with self._client() as likes:
                while not self._over.is_set():
                    least = {**self.accepted}
                    try:
                        found = likes.live(ITEMS)
                    except WrongShards:
                        break
                    most = {**self.sent}
                    self.wrong += [
                        (item, least[item], total, most[item])
                        for item, total in found.items()
                        if total.exact and not least[item] <= total.total <= most[item]
                    ]
                    self.rounds["reads"] += any(total.exact for total in found.values())


def was_counted(outcome: object) -> bool:
    """True if it was counted; anything but a refusal for the number of shards is a failure."""
    assert isinstance(outcome, int | WrongShards), outcome
    return isinstance(outcome, int)


class Api:
    """`likes serve`, one process after the other: with the number that holds."""

    def __init__(self, likes: Shell) -> None:
        self._likes = likes
        self._opened = ExitStack()
        self._lock = Lock()
        self.serve(16)

    def serve(self, shards: int) -> None:
        """Have a process with this number take the place of the one before, which has answered by then."""
        opened = ExitStack()
        api = opened.enter_context(RunningApi(self._likes, shards=shards, redis_timeout=PATIENCE))
        with self._lock:
            before, self._opened, self._client = self._opened, opened, api.client
        before.close()

    def post(self, item: str) -> bool:
        """Like it over HTTP; False if it was refused for the number of shards."""
        with self._lock:
            answer = self._client.post(f"/v1/items/{item}/likes", timeout=PATIENCE)
        assert answer.status_code == 202 or answer.json()["type"] == "wrong-shards", answer.text
        return answer.status_code == 202

    def close(self) -> None:
        """End."""
        self._opened.close()


@pytest.mark.timeout(400)
def test_every_like_counts_once_and_no_total_dips_while_it_is_changed(likes: Shell, rig: Rig) -> None:
    with ExitStack() as opened:
        api = Api(likes)
        opened.callback(api.close)
        worker = opened.enter_context(RunningWorker(likes))
        with Traffic(rig, api.post) as traffic:
            traffic.goes_on()
            for number in (4, 32, 16):
                assert likes("reshard", str(number), "--yes", database_timeout=PATIENCE).code == 0
                traffic.number = number
                assert worker.wait() == 1, "the worker of the number before ends by itself"
                worker = opened.enter_context(RunningWorker(likes, shards=number))
                api.serve(number)
                traffic.goes_on()
        assert (traffic.failed, traffic.wrong) == ([], [])
        assert worker.stop() == 0
    rig.flush()
    assert rig.totals() == traffic.accepted == traffic.sent == rig.likes.totals(ITEMS)
    assert (rig.kinds(), rig.dead_letters()) == ([], [])
