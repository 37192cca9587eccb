"""Exhaustive check of idempotency keys: what a caller repeats counts once within an epoch, on whichever process.

Two processes of an API and a Redis whose memory ends or goes back. Each request is one of A (a key with a body), B (the
same key, another body) and C (another key); a client may repeat A at any time, whether it was answered or not.

send     an add under a key: Redis answers; or the reply is lost, or the request, or it comes late: at any later time,
         when its caller has sent it again, given up, or died
add      in Redis, in one step: another epoch, or other generations than named: nothing; a key that is known in one of
         them: a repeat; no room in the newest: full; a sequence below the producer's last: nothing; else it counts
doubt    sent, not answered, and Redis has another epoch by then: the key keeps that nobody can tell
turn     a generation begins after half a day, or when the newest is full; it is over a day after its successor began,
         then its bucket is deleted and it is forgotten; a tick is half a day
flush    SQL has what is pending; or Redis stands where it cannot: its epoch is retired, what is pending set aside
fault    Redis is emptied, or goes back to the moment when it was saved
day=1    begins when Redis was saved a day and a half ago, and its first generation is over
batch=1  A is a batch over two shards, B has an entry in one of them; the first shard is the key's home, asked first

    python3 once.py                               # A, A and B, a lost message or a late one, a crash
    python3 once.py batch=1 requests=AB late=0
    options: requests, losses, late, crashes, faults, flushes (if faults), ticks, room (keys a bucket takes), batch, day
    python3 once.py --break X                     # each prints a history
        together  the key is written after the likes, by a script of its own
        reserve   ... before the likes
        text      (requests=AAC room=1) the generations are not compared
        all       (requests=AAC room=1) only the newest generation is looked into
        digest    bodies are not compared
        resend    (faults=1) what was not answered is sent again to whatever epoch there is
        mark      (faults=1) a doubt is told, not kept
        sequence  (requests=AAC) a sequence below the producer's last is taken for one that was sent again
        successor (ticks=3 requests=AA) a generation is over a day after it began itself
        guard     (requests=AA day=1 faults=1) a bucket is deleted whatever the generations are by then
        home, first  (batch=1) there is no home, or it is asked together with the shards

Checked in every state: of the likes in SQL or on their way there,
1  no two are of one key, shard and epoch within a day (and without a fault none of two bodies), and no two of one call;
and of the answers:
2  "counted" names likes that were counted, of this body; 3  "another body" goes to nobody whose likes count;
4  nobody can tell: only after a fault, and nothing is counted under the key from then on in this epoch;
5  a process let alone comes to an answer.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

BROKEN = sys.argv[sys.argv.index("--break") + 1].split(",") if "--break" in sys.argv else []
OPTIONS = dict(a.split("=") for a in sys.argv[1:] if "=" in a)
REQUESTS = OPTIONS.get("requests", "AAB")
BATCH = OPTIONS.get("batch") == "1"
LOSSES, LATE, CRASHES, FAULTS, TICKS, FLUSHES, ROOM = (
    int(OPTIONS.get(k, d))
    for k, d in (("losses", 1), ("late", 1), ("crashes", 1), ("faults", 0), ("ticks", 0), ("flushes", 1), ("room", 9))
)
SHARDS = (0, 1) if BATCH else (0,)
KNOWN, SUCCESSOR = 2, 1  # ticks
PLACES = {"A": SHARDS, "B": SHARDS[-1:], "C": SHARDS[-1:]}


class Like(NamedTuple):
    """One that was counted. call: the request that did it."""

    shard: int
    epoch: int
    key: str
    body: str
    call: int
    tick: int


class Generation(NamedTuple):
    number: int
    began: int
    over: bool = False


class Record(NamedTuple):
    """kept: the like that a repeat is told of, "unknown", or "kept" where there is none to tell of."""

    generation: int
    key: str
    body: str
    kept: Like | str


class Shard(NamedTuple):
    """What Redis holds. producers: the last sequence of each, and what that counted."""

    epoch: int = 0
    generations: tuple[Generation, ...] = ()
    records: frozenset[Record] = frozenset()
    producers: tuple[tuple[tuple[int, int], int, Like], ...] = ()
    pending: tuple[Like, ...] = ()
    seq: int = 0


class Sql(NamedTuple):
    epoch: int = 0
    seq: int = 0
    retired: frozenset[int] = frozenset()
    likes: tuple[Like, ...] = ()


class Send(NamedTuple):
    """What goes to one shard in one call. kind: add, keep, mark or record. outcome: "" until it is settled."""

    kind: str
    shard: int
    key: str
    body: str
    sequence: int = 0
    epoch: int = 0
    sent: bool = False
    full: bool = False
    outcome: str = ""
    told: Like | str = ""


class Task(NamedTuple):
    """A request that is carried out. later: what follows these sends."""

    call: int
    body: str
    sends: tuple[Send, ...]
    later: tuple[Send, ...] = ()


class Known(NamedTuple):
    """The generations of a shard, as a process knows them. asked: when it last asked whether one is due."""

    epoch: int = 0
    generations: tuple[Generation, ...] = ()
    asked: int = -1


class Process(NamedTuple):
    """sequences: of its producers, one for each shard; heard: the last acknowledged there, and under which epochs."""

    life: int = 0
    known: tuple[Known, ...] = (Known(),) * len(SHARDS)
    sequences: tuple[int, ...] = (0,) * len(SHARDS)
    heard: tuple[tuple[int, frozenset[int]], ...] = ((0, frozenset()),) * len(SHARDS)
    task: Task | None = None


class Message(NamedTuple):
    """A call of a script with all it carries. producer: its process and that one's life."""

    send: Send
    call: int
    generations: tuple[Generation, ...]
    producer: tuple[int, int]
    heard: int


class Reply(NamedTuple):
    """what: epoch, generations, full, repeat, added, late or deleted."""

    what: str
    epoch: int = 0
    generations: tuple[Generation, ...] = ()
    body: str = ""
    kept: Like | str = ""


class State(NamedTuple):
    """doubted: (shard, epoch, key, tick) that nobody can tell of. losses to flushes: how many there were."""

    redis: tuple[Shard, ...] = (Shard(),) * len(SHARDS)
    saved: tuple[Shard, ...] | None = None
    sql: tuple[Sql, ...] = (Sql(),) * len(SHARDS)
    processes: tuple[Process, ...] = (Process(), Process())
    late: tuple[Message, ...] = ()
    left: str = REQUESTS
    drawn: int = 0
    tick: int = 0
    doubted: frozenset[tuple[int, int, str, int]] = frozenset()
    losses: int = 0
    lates: int = 0
    crashes: int = 0
    faults: int = 0
    flushes: int = 0


class Bad(Exception):
    """A rule is broken."""


T = TypeVar("T")


def put(many: tuple[T, ...], i: int, one: T) -> tuple[T, ...]:
    return (*many[:i], one, *many[i + 1 :])


# ---- Redis


def find(shard: Shard, key: str) -> Record | None:
    live = [g.number for g in shard.generations if not g.over]
    looked_into = live[-1:] if "all" in BROKEN else live
    return next((r for r in shard.records if r.key == key and r.generation in looked_into), None)


def carry_out(s: State, m: Message) -> tuple[State, Reply]:  # noqa: C901 (a branch an answer)
    """The state after Redis has run it, and what it answers."""
    send, shard = m.send, s.redis[m.send.shard]
    if shard.epoch != send.epoch:
        return s, Reply("epoch", shard.epoch)
    if send.kind == "delete":
        number = m.generations[0].number
        if shard.generations == m.generations or "guard" in BROKEN:
            kept = frozenset(r for r in shard.records if r.generation != number)
            return s._replace(redis=put(s.redis, send.shard, shard._replace(records=kept))), Reply("deleted")
        return s, Reply("generations", generations=shard.generations)
    if shard.generations != m.generations and "text" not in BROKEN:
        return s, Reply("generations", generations=shard.generations)
    newest = m.generations[-1].number if m.generations else 0
    if send.kind != "record" and not (send.kind == "plain" and "reserve" in BROKEN):
        if record := find(shard._replace(generations=m.generations), send.key):
            return s, Reply("repeat", body=record.body, kept=record.kept)
        if not newest or sum(r.generation == newest for r in shard.records) >= ROOM:
            return s, Reply("full", generations=shard.generations)
    kept: Like | str = {"mark": "unknown", "record": send.told}.get(send.kind, "kept")
    if send.kind in ("add", "plain"):
        last = next((p for p in shard.producers if p[0] == m.producer), None)
        if last and send.sequence < last[1] and "sequence" not in BROKEN:
            return s, Reply("late")
        if last and send.sequence <= last[1]:
            kept = last[2] if send.sequence == last[1] else "nothing"
        elif m.heard > (last[1] if last else 0) and send.sent:
            return s, Reply("epoch", shard.epoch)
        else:
            kept = Like(send.shard, send.epoch, send.key, send.body, m.call, s.tick)
            if any(doubt[:3] == kept[:3] and s.tick - doubt[3] < KNOWN for doubt in s.doubted):
                raise Bad("4: counted, though nobody could tell")
            producers = tuple(
                sorted({*(p for p in shard.producers if p is not last), (m.producer, send.sequence, kept)})
            )
            shard = shard._replace(producers=producers, pending=tuple(sorted((*shard.pending, kept))))
    if send.kind != "plain":
        record = Record(newest, send.key, send.body, kept)
        shard = shard._replace(records=shard.records | {record})
    return s._replace(redis=put(s.redis, send.shard, shard)), Reply("added", kept=kept)


def turned(s: State, shard: Shard, known: Known, *, full: bool, deleted: int) -> Shard:
    """After a script that begins a generation if that is due, and lets go of those that are over."""
    if shard.generations != known.generations:
        return shard
    all_ = list(shard.generations)
    if not all_ or full or s.tick - all_[-1].began >= SUCCESSOR:
        all_.append(Generation(all_[-1].number + 1 if all_ else 1, s.tick))
    for i in range(len(all_) - 1):
        since = all_[i if "successor" in BROKEN else i + 1].began
        if s.tick - since >= KNOWN:
            all_[i] = all_[i]._replace(over=True)
    return shard._replace(generations=tuple(g for g in all_ if not (g.over and g.number == deleted)))


_FIRST = Shard(1, (Generation(1, 0),))
DAY_LATER = State(
    (_FIRST._replace(generations=(Generation(1, 0), Generation(2, 1))),), (_FIRST,), drawn=1, tick=SUCCESSOR + KNOWN
)


# ---- A process


def begin(s: State, p: int, body: str) -> State:
    """It receives a request."""
    process = s.processes[p]
    key = "k" if body in "AB" else "c"
    sequence = max(process.sequences) + 1
    kinds = {"together": "plain", "reserve": "keep"}
    kind = next((kinds[b] for b in BROKEN if b in kinds), "add")
    adds = tuple(Send(kind, n, f"{key}{n}", body, sequence) for n in PLACES[body])
    home = (Send("keep", 0, key, body),)
    first, later = adds, ()
    if BATCH and body != "C" and "home" not in BROKEN:
        first, later = ((*home, *adds), ()) if "first" in BROKEN else (home, adds)
    first, later = (
        tuple(send._replace(epoch=process.known[send.shard].epoch) for send in some) for some in (first, later)
    )
    if "reserve" in BROKEN:
        later = tuple(send._replace(kind="plain") for send in adds)
    task = Task(len(REQUESTS) - len(s.left), body, first, later)
    sequences = tuple(sequence if n in PLACES[body] else q for n, q in enumerate(process.sequences))
    process = process._replace(task=task, sequences=sequences)
    return s._replace(processes=put(s.processes, p, process), left=s.left.replace(body, "", 1))


def message(s: State, p: int, send: Send) -> Message:
    process = s.processes[p]
    task, known = process.task, process.known[send.shard]
    assert task is not None
    sequence, epochs = process.heard[send.shard]
    generations = known.generations if known.epoch == send.epoch else ()
    return Message(send, task.call, generations, (p, process.life), sequence if send.epoch in epochs else 0)


def with_send(s: State, p: int, i: int, send: Send) -> State:
    task = s.processes[p].task
    assert task is not None
    task = task._replace(sends=put(task.sends, i, send))
    s = s._replace(processes=put(s.processes, p, s.processes[p]._replace(task=task)))
    return answered(s, p, task) if all(each.outcome for each in task.sends) else s


def with_known(s: State, p: int, n: int, known: Known) -> State:
    process = s.processes[p]
    return s._replace(processes=put(s.processes, p, process._replace(known=put(process.known, n, known))))


def hear(s: State, p: int, i: int, reply: Reply) -> State:  # noqa: C901 (a branch an answer)
    """A process hears what Redis answered to its send number `i`."""
    process = s.processes[p]
    task = process.task
    assert task is not None
    send = task.sends[i]
    known = process.known[send.shard]
    what, told = reply.what, reply.epoch
    if what == "epoch":
        if not send.sent or send.kind not in ("add", "plain") or "resend" in BROKEN:
            send = send._replace(epoch=told)
            s = with_known(s, p, send.shard, known if known.epoch == told else Known(told))
        elif "mark" in BROKEN:
            s = s._replace(doubted=s.doubted | {(send.shard, told, send.key, s.tick)})
            send = send._replace(outcome="unknown")
        else:
            send = send._replace(kind="mark", epoch=told, sent=False)
    elif what in ("generations", "full"):
        s = with_known(s, p, send.shard, Known(send.epoch, reply.generations, known.asked))
        send = send._replace(full=what == "full")
    elif what == "repeat":
        if send.kind == "mark":
            send = send._replace(outcome="unknown")
        elif reply.body != send.body and "digest" not in BROKEN:
            send = send._replace(outcome="another body")
        elif reply.kept == "unknown":
            send = send._replace(outcome="unknown")
        else:
            send = send._replace(outcome="counted", told=reply.kept)
        if "reserve" in BROKEN:
            process = process._replace(task=task._replace(later=()))
            s = s._replace(processes=put(s.processes, p, process))
    elif send.kind == "mark":
        s = s._replace(doubted=s.doubted | {(send.shard, send.epoch, send.key, s.tick)})
        send = send._replace(outcome="unknown")
    elif send.kind == "plain" and "together" in BROKEN:
        send = send._replace(kind="record", told=reply.kept)
    else:
        if send.kind == "add":
            last, epochs = process.heard[send.shard]
            heard = max(last, send.sequence), epochs | {send.epoch}
            process = process._replace(heard=put(process.heard, send.shard, heard))
            s = s._replace(processes=put(s.processes, p, process))
        send = send._replace(outcome="counted", told=send.told or reply.kept)
    return with_send(s, p, i, send)


def answered(s: State, p: int, task: Task) -> State:
    """What follows when all sends of a task are settled."""
    outcomes = {send.outcome for send in task.sends}
    process = s.processes[p]
    if outcomes == {"counted"} and task.later:
        process = process._replace(task=task._replace(sends=task.later, later=()))
        return s._replace(processes=put(s.processes, p, process))
    check_answer(s, task)
    return s._replace(processes=put(s.processes, p, process._replace(task=None)))


def steps_of(s: State, p: int, *, alone: bool = False) -> Iterator[tuple[str, State]]:  # noqa: C901 (a branch a step)
    """Every step of one process; alone: nothing is lost."""
    process = s.processes[p]
    task = process.task
    if task is None:
        return
    for i, send in enumerate(task.sends):
        if send.outcome:
            continue
        name = f"{task.body}{task.call} {send.kind} in shard {send.shard}"
        n, known = send.shard, process.known[send.shard]
        shard = s.redis[n]
        if not send.epoch:
            epoch, after = shard.epoch, s
            if not epoch:
                epoch = s.drawn + 1
                after = s._replace(drawn=epoch, redis=put(s.redis, n, Shard(epoch)))
            yield f"{name}: learns epoch {epoch}", with_send(after, p, i, send._replace(epoch=epoch))
            continue
        mine = known if known.epoch == send.epoch else Known(send.epoch)
        if shard.epoch == send.epoch and (send.full or mine.asked < s.tick):
            turn = turned(s, shard, mine, full=send.full, deleted=0)
            asked = s.tick if turn.generations == mine.generations else -1
            if turn.generations != mine.generations and turn != shard:
                asked = s.tick  # one more question would change nothing
            after = s._replace(redis=put(s.redis, n, turn))
            after = with_known(after, p, n, Known(send.epoch, turn.generations, asked))
            yield f"{name}: asks for a generation", with_send(after, p, i, send._replace(full=False))
            continue
        if mine.generations and mine.generations[0].over:
            number = mine.generations[0].number
            delete = message(s, p, send._replace(kind="delete"))
            ran, reply = carry_out(s, delete)
            if reply.what == "generations":
                ran = hear(ran, p, i, reply)
            yield f"deletes bucket {number}", ran
            if s.lates < LATE and not alone:
                yield f"deletes bucket {number}, late", s._replace(late=(*s.late, delete), lates=s.lates + 1)
            if shard.epoch == send.epoch and not any(r.generation == number for r in shard.records):
                turn = turned(s, shard, mine, full=False, deleted=number)
                after = s._replace(redis=put(s.redis, n, turn))
                yield f"forgets {number}", with_known(after, p, n, Known(send.epoch, turn.generations, mine.asked))
        m = message(s, p, send)
        ran, reply = carry_out(s, m)
        yield f"{name}: {said(reply)}", hear(ran, p, i, reply)
        if alone:
            continue
        unanswered = send._replace(sent=True)
        if s.losses < LOSSES:
            if s.lates >= LATE:  # else it comes late, and never
                lost = s._replace(losses=s.losses + 1)
                yield f"{name}: the request is lost", with_send(lost, p, i, unanswered)
            if ran is not s:
                yield f"{name}: the reply is lost", with_send(ran._replace(losses=s.losses + 1), p, i, unanswered)
        if s.lates < LATE:
            late = s._replace(lates=s.lates + 1, late=(*s.late, m))
            yield f"{name}: is under way for long", with_send(late, p, i, unanswered)
        if send.sent:
            yield f"{name}: gives up", with_send(s, p, i, send._replace(outcome="unknown yet"))


def said(reply: Reply) -> str:
    return " ".join(str(each) for each in reply if each)


# ---- The world


def world(s: State) -> Iterator[tuple[str, State]]:  # noqa: C901 (a branch a step)
    for p, process in enumerate(s.processes):
        if process.task is None:
            for body in sorted(set(s.left)):
                yield f"p{p} receives {body}", begin(s, p, body)
        elif s.crashes < CRASHES:
            fresh = Process(life=process.life + 1)
            yield f"p{p} dies", s._replace(processes=put(s.processes, p, fresh), crashes=s.crashes + 1)
    for i, m in enumerate(s.late):
        ran, reply = carry_out(s._replace(late=s.late[:i] + s.late[i + 1 :]), m)
        yield f"late: {m.send.kind} of {m.send.body}{m.call} in shard {m.send.shard}: {said(reply)}", ran
    if s.tick < TICKS:
        yield "half a day passes", s._replace(tick=s.tick + 1)
    if s.flushes < FLUSHES and FAULTS:
        for n, shard in enumerate(s.redis):
            if shard.epoch and (shard.pending or shard.epoch != s.sql[n].epoch or not counts(shard, s.sql[n])):
                yield f"flush of shard {n}", flush(s, n)
    if s.faults < FAULTS:
        if s.saved is None and any(shard.epoch for shard in s.redis):
            yield "Redis is saved", s._replace(saved=s.redis)
        if s.saved is not None:
            yield "Redis goes back", s._replace(redis=s.saved, faults=s.faults + 1, doubted=frozenset())
        if any(shard.epoch for shard in s.redis):
            yield "Redis is emptied", s._replace(redis=State().redis, faults=s.faults + 1, doubted=frozenset())


def flush(s: State, n: int) -> State:
    shard, sql, drawn = s.redis[n], s.sql[n], s.drawn
    s = s._replace(flushes=s.flushes + 1)
    if not counts(shard, sql):
        drawn += 1
        sql = sql._replace(epoch=drawn, seq=0, retired=sql.retired | {shard.epoch, sql.epoch})
        shard = Shard(drawn)
    elif shard.epoch != sql.epoch:
        sql = sql._replace(epoch=shard.epoch, seq=shard.seq, retired=sql.retired | {sql.epoch})
    if shard.pending:
        sql = sql._replace(seq=shard.seq + 1, likes=tuple(sorted((*sql.likes, *shard.pending))))
        shard = shard._replace(seq=shard.seq + 1, pending=())
    return s._replace(redis=put(s.redis, n, shard), sql=put(s.sql, n, sql), drawn=drawn)


def counts(shard: Shard, sql: Sql) -> bool:
    """True if what is pending there will be in SQL."""
    return shard.epoch not in sql.retired and not (shard.epoch == sql.epoch and shard.seq < sql.seq)


def normal(s: State) -> State:
    """The same without what does not matter any more."""
    if s.faults >= FAULTS:
        late = tuple(m for m in s.late if m.send.epoch == s.redis[m.send.shard].epoch)
        s = s._replace(saved=None, late=late)
    if not s.left:
        s = s._replace(processes=tuple(each if each.task else Process() for each in s.processes))
    return s


def moves(s: State) -> Iterator[tuple[str, State]]:
    if not s.left and not s.late and not any(process.task for process in s.processes):
        return
    yield from world(s)
    for p in range(len(s.processes)):
        for name, after in steps_of(s, p):
            yield f"p{p} {name}", after


# ---- What must hold


def surviving(s: State) -> list[Like]:
    found: list[Like] = []
    for shard, sql in zip(s.redis, s.sql, strict=True):
        found += sql.likes + (shard.pending if counts(shard, sql) else ())
    return found


def check(s: State) -> None:
    likes = surviving(s)
    for i, one in enumerate(likes):
        for other in likes[i + 1 :]:
            near = abs(one.tick - other.tick) < KNOWN
            if one[:3] == other[:3] and near:
                raise Bad("1: counted twice under one key" if one.body == other.body else "1: another body counted")
            if (one.shard, one.call) == (other.shard, other.call):
                raise Bad("1: one call counted twice")
            if not s.faults and near and one.key[0] == other.key[0] and one.body != other.body:
                raise Bad("1: another body counted")


def check_answer(s: State, task: Task) -> None:
    mine = [like for like in surviving(s) if like.call == task.call]
    for send in task.sends:
        if send.outcome == "counted" and (send.kind != "keep" or "reserve" in BROKEN):
            told = send.told
            if told == "kept" and "reserve" in BROKEN:
                told = next((r for r in surviving(s) if r.key == send.key), "nothing")
            if not isinstance(told, Like) or (told.key, told.body) != (send.key, send.body):
                raise Bad(f"2: {task.body}{task.call} is told that it counted: {told}")
        if send.outcome == "another body" and any(like.shard == send.shard for like in mine) and not s.faults:
            raise Bad("3: told that nothing was counted")
        if send.outcome == "unknown" and not s.faults:
            raise Bad("4: nobody can tell, without a fault")


def check_alone(s: State) -> None:
    """A process that is let alone comes to an answer."""
    for p, process in enumerate(s.processes):
        here = s
        for _ in range(60):
            if here.processes[p].task is None:
                break
            here = list(steps_of(here, p, alone=True))[-1][1]
        else:
            raise Bad(f"5: p{p} comes to no answer: {process.task}")


def main() -> int:
    start = DAY_LATER if OPTIONS.get("day") == "1" else State()
    came: dict[State, tuple[State, str] | None] = {start: None}
    queue = deque([start])

    def tell(s: State, bad: object) -> int:
        history: list[str] = []
        here = s
        while (before := came[here]) is not None:
            history.append(before[1])
            here = before[0]
        print(f"{bad}, after", *reversed(history), sep="\n  ")
        return 1

    while queue:
        s = queue.popleft()
        try:
            check(s)
            if not s.left:
                check_alone(s)
            for name, moved in moves(s):
                after = normal(moved)
                if after not in came:
                    came[after] = s, name
                    queue.append(after)
        except Bad as bad:
            return tell(s, bad)
    print(f"{len(came):,} states, a like under a key counts once")
    return 0


if __name__ == "__main__":
    sys.exit(main())
