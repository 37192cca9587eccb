"""Exhaustive check of the rules *window*, *server* and *client*: whatever is lost was accepted inside a window.

One shard, one client, two workers that may die at any step, and a Redis that is saved now and then. Sealing and
applying are one step here: what may happen in between is the matter of protocol_rows.py.

flush    begin: Redis's clock and the run id are read, the server is noted
         look: where the shard stands, by the rules
         take: what was seen is handed off and applied, if Redis stands where it was seen
         tell: a proof that was seen
         ask: the run id and the clock once more
         cover: covered_to = the moment it began, if the run id is the same, and anything was ever handed off there
faults   restart (from what was saved), empty, place (what was saved is put back into the same process),
         astray (workers are led to another Redis, an empty one, until they are back; the client is not)
window   from covered_to on; of a proof: only if covered_by, when that flush was over, is before the moment when what
         was forgotten was known, else from the beginning

    python3 exposure.py                            # two likes, two flushes, one fault
    python3 exposure.py likes=3 flushes=3 workers=1 faults=2
    python3 exposure.py --break X                  # each prints a history that loses a like outside all windows
        over      a proof's window begins at covered_to, if what was forgotten was known then: it may begin too late
        same      (silent=1) covered, whatever answers at the end of the flush
        applied   (silent=1) the window begins when a batch was applied last
        begun     (silent=1) the clock is read when the flush is nearly over
        empty     (silent=1 faults=2 only=astray,empty) covered, also where nothing was ever handed off
    silent=1: the client proves nothing; then without `place`, which nobody else notices

Checked in every state: once the client has spoken up and a worker has flushed, each like that is lost lies in a window.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import NamedTuple

BROKEN = sys.argv[sys.argv.index("--break") + 1].split(",") if "--break" in sys.argv else []
OPTIONS = dict(a.split("=") for a in sys.argv[1:] if "=" in a)
LIKES, FLUSHES, FAULTS, SAVES = (
    int(OPTIONS.get(k, d)) for k, d in (("likes", 2), ("flushes", 2), ("faults", 1), ("saves", 1))
)
ONLY = OPTIONS.get("only", "restart,empty,place").split(",")
SILENT = OPTIONS.get("silent") == "1"
WORKERS = int(OPTIONS.get("workers", 2))
OTHER = -1  # its run id


class Memory(NamedTuple):
    """What Redis holds: its epoch (0: none), how many batches, what is pending, the last like it knows of, a proof."""

    epoch: int = 0
    seq: int = 0
    pending: frozenset[int] = frozenset()
    known: int = 0
    proof: int = 0


class Sql(NamedTuple):
    """epoch, seq: the cursor. retired: epochs given up. kept: likes counted or set aside; exposed: in a window."""

    epoch: int = 0
    seq: int = 0
    retired: frozenset[int] = frozenset()
    run: int = 0
    kept: frozenset[int] = frozenset()
    covered_to: int = 0
    covered_by: int = 0
    applied_at: int = 0
    told: int = 0
    exposed: frozenset[int] = frozenset()


class Flush(NamedTuple):
    """A flush on its way: the next step, when it began, whom it asked, what it saw."""

    step: str = ""
    began: int = 0
    run: int = 0
    seen: Memory = Memory()
    same: bool = False
    over: int = 0


class State(NamedTuple):
    """likes: when each was accepted. acknowledged: the client's last, with epoch and moment. drawn: epochs so far.

    other: the Redis that workers are led to, if they are.
    """

    now: int = 1
    run: int = 1
    redis: Memory = Memory()
    other: Memory | None = None
    saved: Memory | None = None
    sql: Sql = Sql()
    workers: tuple[Flush, ...] = (Flush(),) * WORKERS
    likes: tuple[int, ...] = ()
    acknowledged: tuple[int, int, int] = (0, 0, 0)
    drawn: int = 0
    flushes: int = 0
    faults: int = 0
    saves: int = 0


def like(s: State) -> State:
    number, redis, drawn = len(s.likes) + 1, s.redis, s.drawn
    if not redis.epoch:
        drawn += 1
        redis = Memory(epoch=drawn)
    epoch, last, at = s.acknowledged
    if epoch == redis.epoch and redis.known < last and not SILENT:
        redis = redis._replace(proof=at)
    redis = redis._replace(pending=redis.pending | {number}, known=number)
    return s._replace(
        now=s.now + 1, redis=redis, drawn=drawn, likes=(*s.likes, s.now), acknowledged=(redis.epoch, number, s.now)
    )


def incident(s: State, sql: Sql, begin: int | None = None) -> Sql:
    begin = (sql.applied_at if "applied" in BROKEN else sql.covered_to) if begin is None else begin
    return sql._replace(exposed=sql.exposed | {n for n, at in enumerate(s.likes, start=1) if at >= begin})


def compact(s: State) -> State:
    """The same with its moments numbered anew: only their order matters, and that of likes which may yet be lost."""
    safe = s.sql.kept | s.sql.exposed
    likes = tuple(0 if n in safe else at for n, at in enumerate(s.likes, start=1))
    memories = [s.redis, *(one for one in (s.saved, s.other) if one), *(f.seen for f in s.workers)]
    moments = {
        0,
        *likes,
        s.sql.covered_to,
        s.sql.covered_by,
        s.sql.told,
        s.acknowledged[2],
        *(m.proof for m in memories),
    }
    moments |= (
        {f.began for f in s.workers}
        | {f.over for f in s.workers}
        | ({s.sql.applied_at} if "applied" in BROKEN else set())
    )
    rank = {moment: number for number, moment in enumerate(sorted(moments))}

    def renumbered(m: Memory) -> Memory:
        return m._replace(proof=rank[m.proof])

    sql = s.sql._replace(
        covered_to=rank[s.sql.covered_to],
        covered_by=rank[s.sql.covered_by],
        told=rank[s.sql.told],
        applied_at=rank.get(s.sql.applied_at, 0),
    )
    workers = tuple(f._replace(began=rank[f.began], over=rank[f.over], seen=renumbered(f.seen)) for f in s.workers)
    return s._replace(
        now=len(rank),
        redis=renumbered(s.redis),
        saved=s.saved and renumbered(s.saved),
        other=s.other and renumbered(s.other),
        sql=sql,
        workers=tuple(sorted(workers)),
        likes=tuple(rank[at] for at in likes),
        acknowledged=(*s.acknowledged[:2], rank[s.acknowledged[2]]),
    )


def step(s: State, w: int) -> State:  # noqa: C901 (a branch a step)
    """One step of a worker's flush."""
    f, sql = s.workers[w], s.sql
    redis, run = (s.redis, s.run) if s.other is None else (s.other, OTHER)
    now, drawn = s.now, s.drawn
    if f.step == "begin":
        if sql.run not in (0, run):
            sql = incident(s, sql)
        sql = sql._replace(run=run)
        f = f._replace(step="look", began=now, run=run)
        now += 1
    elif f.step == "look":
        if redis.epoch != sql.epoch:  # emptied or replaced: adopt; one that was given up: set aside what is pending
            if not redis.epoch or redis.epoch in sql.retired:
                drawn += 1
                sql = sql._replace(kept=sql.kept | redis.pending)
                redis = Memory(epoch=drawn)
            sql = incident(s, sql)._replace(epoch=redis.epoch, seq=0, told=0, retired=sql.retired | {sql.epoch})
        elif redis.seq < sql.seq:  # went back: retire, set aside what is pending, begin anew
            drawn += 1
            kept, retired = sql.kept | redis.pending, sql.retired | {sql.epoch}
            sql = incident(s, sql)._replace(epoch=drawn, seq=0, told=0, kept=kept, retired=retired)
            redis = Memory(epoch=drawn)
        f = f._replace(step="take", seen=redis)
    elif f.step == "take":
        if (redis.epoch, redis.seq) != (f.seen.epoch, f.seen.seq) or (sql.epoch, sql.seq) != (redis.epoch, redis.seq):
            f = f._replace(step="look")
        else:
            taken = redis.pending & f.seen.pending
            if f.seen.pending:
                redis = redis._replace(seq=redis.seq + 1, pending=redis.pending - taken)
                sql = sql._replace(seq=redis.seq, kept=sql.kept | taken, applied_at=now)
                now += 1
            f = f._replace(step="tell", began=now if "begun" in BROKEN else f.began)
            now += 1
    elif f.step == "tell":
        if f.seen.proof != sql.told and sql.epoch == redis.epoch and redis.proof != sql.told:
            known = redis.proof
            over = sql.covered_to if "over" in BROKEN else sql.covered_by
            sql = incident(s, sql, None if known and known >= over else 0)._replace(told=redis.proof)
        f = f._replace(step="ask")
    elif f.step == "ask":
        f = f._replace(step="cover", same=run == f.run or "same" in BROKEN, over=now)
        now += 1
    elif f.step == "cover":
        if f.same and (f.began > sql.covered_to or "stale" in BROKEN):
            is_used = sql.seq > 0 or "empty" in BROKEN
            sql = sql._replace(covered_to=f.began if is_used else sql.covered_to, covered_by=f.over)
        f = Flush()
    workers = tuple(f if i == w else other for i, other in enumerate(s.workers))
    here = {"redis": redis} if s.other is None else {"other": redis}
    return s._replace(now=now, sql=sql, workers=workers, drawn=drawn, **here)


def fault(s: State, kind: str) -> State:
    s = s._replace(faults=s.faults + 1)
    if kind == "astray":
        return s._replace(other=Memory())
    if kind == "empty":
        return s._replace(redis=Memory())
    back = s.saved or Memory()
    return s._replace(redis=back, run=s.run + 1) if kind == "restart" else s._replace(redis=back)


def moves(s: State) -> list[tuple[str, State]]:
    found = []
    if len(s.likes) < LIKES:
        found.append(("like", like(s)))
    if s.saves < SAVES:
        found.append(("save", s._replace(saved=s.redis, saves=s.saves + 1)))
    for w, f in enumerate(s.workers):
        if f.step:
            found.append((f"{w} {f.step}", step(s, w)))
            found.append(
                (f"{w} dies", s._replace(workers=tuple(Flush() if i == w else o for i, o in enumerate(s.workers))))
            )
        elif s.flushes < FLUSHES:
            begun = tuple(Flush("begin") if i == w else other for i, other in enumerate(s.workers))
            found.append((f"{w} flushes", s._replace(workers=begun, flushes=s.flushes + 1)))
    if s.other is not None:
        found.append(("workers are back", s._replace(other=None)))
    if s.faults < FAULTS:
        found += [(kind, fault(s, kind)) for kind in ONLY if kind != "place" or s.saved is not None]
    return found


def outside(s: State) -> list[int]:
    """The likes that are lost outside all windows, once the client has spoken up and a worker has flushed alone."""
    s = like(s._replace(workers=(Flush(),) * WORKERS, other=None))
    for _ in range(2):
        s = s._replace(workers=(Flush("begin"), *s.workers[1:]))
        while s.workers[0].step:
            s = step(s, 0)
    lost = [n for n in range(1, len(s.likes) + 1) if n not in s.sql.kept and n not in s.redis.pending]
    return [n for n in lost if n not in s.sql.exposed]


def main() -> int:
    start = State(
        redis=Memory(epoch=1), sql=Sql(epoch=1, run=1), drawn=1
    )  # after a first flush: before it, nobody knows
    came: dict[State, tuple[State, str] | None] = {start: None}
    queue = deque([start])
    while queue:
        s = queue.popleft()
        if lost := outside(s):
            history: list[str] = []
            here: State = s
            while (before := came[here]) is not None:
                history.append(before[1])
                here = before[0]
            print(f"lost outside all windows: likes {lost}", *reversed(history), sep="\n  ")
            return 1
        for name, after in ((name, compact(after)) for name, after in moves(s)):
            if after not in came:
                came[after] = s, name
                queue.append(after)
    print(f"{len(came):,} states")
    return 0


if __name__ == "__main__":
    sys.exit(main())
