"""Two live shards, of which a test damages one; what people and workers do then, and what must hold after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from likes import LikeCounter
from likes.buffer.heartbeat import Heartbeat
from likes.buffer.leases import Leases
from likes.errors import AddFailed, LikesError
from likes.items import shard_of
from likes.reports.audit import audit
from likes.reports.status import read_status
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.seams import TappedLink
from tests.stepping import SteppedWorker
from worker.housekeeping import Housekeeping
from worker.pulse import Pulse
from worker.rounds import Rounds
from worker.sweep import Sweep

ITEMS = [f"item {n}" for n in range(12)]
HERE = [item for item in ITEMS if shard_of(item.encode(), 2) == 0]
THERE = [item for item in ITEMS if shard_of(item.encode(), 2) == 1]
FIRST = HERE[0]
OUTSIDE = ("owner", "epoch", "epochs", "lease")


class LiveShards:
    """The rig with two live shards, and what was accepted."""

    def __init__(self, rig: Rig, redis_url: str) -> None:
        self.rig = rig
        self.redis_url = redis_url
        self.accepted = dict.fromkeys(ITEMS, 0)
        self.like(1)
        rig.flush()
        self.like(20)
        with SteppedWorker(rig) as worker:
            worker.go_until("hand_off").step()
        self.like(300)
        assert [len(rig.views(shard)[rig.epoch(shard)].in_flight) for shard in (0, 1)] == [1, 0]
        self.leases = Leases(rig.worker.buffer, 30)
        self.leases.take([0])

    def like(self, count: int) -> None:
        self.rig.likes.add(dict.fromkeys(ITEMS, count))
        self.accepted = {item: before + count for item, before in self.accepted.items()}

    def key(self, name: str) -> str:
        return f"{{likes:0}}:{name}" if name in OUTSIDE else self.rig.key(name)

    # What people do; each returns what it was told.

    def flush(self) -> str:
        return said(self.rig.flush)

    def work(self) -> str:
        """A worker's round, with its leases and its housekeeping."""
        rounds = self.rounds(self.rig.sweep())
        return said(rounds._housekeeping.tidy, [0, 1]) + said(rounds._flush, self.leases.take([0, 1]))

    def rounds(self, sweep: Sweep) -> Rounds:
        """Those of a worker."""
        buffer, ledger = self.rig.worker.buffer, self.rig.worker.ledger
        pulse = Pulse(Heartbeat(buffer, "test", self.leases.token))
        rounds = Rounds(self.rig.worker, self.leases, Housekeeping(buffer, ledger, sweep, 30), pulse)
        rounds._shards = [0, 1]
        return rounds

    def status(self) -> str:
        return "\n".join(read_status(self.rig.worker.buffer, self.rig.worker.ledger, 2).problems)

    def audit(self) -> str:
        return "\n".join(audit(self.rig.worker.buffer, self.rig.worker.ledger, 2).problems)

    def get(self) -> str:
        return said(self.rig.likes.total, FIRST)

    def post(self) -> str:
        """A like by a client that has been there, and one by a new one; of one item here and one that is elsewhere."""
        with LikeCounter(redis_url=self.redis_url, database_url=url_of(self.rig.engine), shards=2) as new:
            return self._post(self.rig.likes) + self._post(new)

    def _post(self, likes: LikeCounter) -> str:
        entries: Mapping[str, int] = {FIRST: 1, THERE[0]: 1}
        try:
            likes.add(entries)
            told, accepted = "", entries
        except AddFailed as error:
            told, accepted = str(error), error.accepted
        assert THERE[0] in accepted
        self.accepted = {item: before + accepted.get(item, 0) for item, before in self.accepted.items()}
        return told

    # What must hold.

    def check(self) -> None:
        """All that was accepted is counted once, set aside, or lost and known to be."""
        totals = self.rig.totals()
        assert all(totals[item] == self.accepted[item] for item in THERE)
        assert all(totals[item] <= self.accepted[item] for item in HERE), "counted twice"
        counted = sum(totals.values()) + sum(self.rig.set_aside().values())
        written_off = sum(incident.delta or 0 for incident in self.rig.incidents())
        assert sum(self.accepted.values()) == counted + written_off

    def lost(self) -> dict[str, int]:
        """Kind of incident -> what it wrote off."""
        lost: dict[str, int] = {}
        for incident in self.rig.incidents():
            if incident.delta:
                lost[incident.kind] = lost.get(incident.kind, 0) + incident.delta
        return lost


def said(act: Callable[..., object], *arguments: object) -> str:
    """What the error says that it ends with, if it does."""
    try:
        act(*arguments)
    except LikesError as error:
        return str(error)
    return ""


def delete(live: LiveShards, name: str) -> None:
    assert live.rig.redis.delete(live.key(name))


def make_another_type(live: LiveShards, name: str) -> None:
    is_text = live.rig.redis.type(live.key(name)) == b"string"
    delete(live, name)
    if is_text:
        live.rig.redis.rpush(live.key(name), "a list")
    else:
        live.rig.redis.set(live.key(name), "a text")


def act_on_it(live: LiveShards) -> dict[str, str]:
    """Everything that people and workers do, with the key damaged; what each was told."""
    told = {name: getattr(live, name)() for name in ("status", "audit", "get", "post", "flush", "work")}
    totals = live.rig.totals()
    assert all(totals[item] == live.accepted[item] for item in THERE), "the other shard does not go on"
    return told


def put_in_order(live: LiveShards) -> None:
    """What the flushes after it are for: then all is accounted for."""
    for _ in range(2):
        assert live.flush() == ""
    live.check()
    assert live.audit() == ""
    assert live.post() == ""
    live.flush()
    live.check()
    assert live.audit() == live.status() == ""


def calls_of(live: LiveShards, act: Callable[[], str]) -> set[str]:
    """The commands and scripts of the rig's worker meanwhile."""
    made: set[str] = set()

    def around(names: str, make: Callable[[], Any]) -> Any:
        made.update(names.split())
        return make()

    link = live.rig.worker.buffer.link
    live.rig.worker.buffer.link = TappedLink(link, around)
    assert act() == ""
    live.rig.worker.buffer.link = link
    return made


def made_by(live: LiveShards) -> list[str]:
    """What a flush asks for, in order."""
    made: list[str] = []
    with SteppedWorker(live.rig) as worker:
        while worker.at is not None:
            made.append(worker.at)
            worker.step()
    return made
