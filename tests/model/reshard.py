"""Exhaustive check of `likes reshard`: a number of shards becomes another one while clients post and read.

One item is followed; under 2 shards it lies in shard 1, under 3 in shard 2, and shard 0 holds none of it. Clients of both
numbers are there, a worker, a reader of live totals, and the command, begun several times with any target, killed anywhere.

number    an epoch's name says in how many shards its Redis holds likes; who finds another number than his own is told.
known     a cursor without an epoch stands before all of one that was known before SQL was asked.
birth     who finds no epoch in his shard asks shard 0, and begins it before his own if it has none; readers ask it, too.
command   mark every shard with the target (likes are refused there) · begin an epoch where there is none, of shard 0's
          number · flush until all are empty and SQL agrees · point each at a fresh epoch of the target's number · let SQL
          adopt it · see that all are so · take the marks away.
repoint   one script: the mark is the target, nothing pending or in flight; the fresh epoch notes where the one before ended.
follows   an epoch is adopted without an incident if it follows the very place where the cursor stands.
left      an idempotency key is looked for also where it would lie under the numbers there were, which each shard keeps; they
          are read together with seeing the shard open.

    python3 reshard.py                      # from 2 shards, one like a client, two commands (pypy3; reads=0 is quicker)
    python3 reshard.py begin=0              # from an empty Redis
    python3 reshard.py keys=1               # both clients' likes are one, under one idempotency key
    python3 reshard.py old=1                # a client of an older version, which knows neither marks nor numbers
    python3 reshard.py faults=1             # SQL goes back to a copy
    python3 reshard.py --break X            # mark number birth reader rooted known unborn born empty target beyond follows
                                            # left early

Checked: every like accepted is counted once, or an incident tells; a total told as exact was true at some moment of its read;
a key counts once; and from every state one more command with either target, left alone with the worker, ends, with all open.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import Any

BROKEN = sys.argv[sys.argv.index("--break") + 1] if "--break" in sys.argv else ""
OPTIONS = dict(word.split("=") for word in sys.argv[1:] if "=" in word)
ADDS, COMMANDS, FAULTS, BEGIN, KEYS, OLD, READS = (
    int(OPTIONS.get(name, default))
    for name, default in (
        ("adds", 1), ("commands", 2), ("faults", 0), ("begin", 2), ("keys", 0), ("old", 0), ("reads", 1),
    )
)  # fmt: skip
NUMBERS = [int(number) for number in OPTIONS.get("numbers", "23")]
PLACE = {2: 1, 3: 2}
SHARDS = (0, 1, 2)

# shard    (epoch, mark, left); epoch (number, drawn, pending, seq, flight, follows, key, old ones) or None
# sql      (total, cursors, incidents, given up); cursor (epoch drawn, seq)
# state    (shards, sql, writers, reader, commands, begun, accepted, drawn, faults, copy)
State = tuple[Any, ...]


class BadError(Exception):
    pass


def put(values: tuple[Any, ...], at: int, value: Any) -> tuple[Any, ...]:
    return (*values[:at], value, *values[at + 1 :])


def fresh(number: int, drawn: int, follows: Any = None) -> Any:
    return (number, drawn, 0, 0, 0, follows, 0)


def start() -> State:
    one = [(fresh(BEGIN, 1) if BEGIN and s < BEGIN else None, 0, ()) for s in SHARDS]
    cursors = tuple((1, 0) if shard[0] else (0, 0) for shard in one)
    writers = tuple(("idle", 0) for _ in (*NUMBERS, *"o" * OLD))
    return (tuple(one), (0, cursors, 0, 0), writers, ("idle", 0), (None, None), 0, 0, 1, 0, None)


def shard_put(s: State, n: int, shard: Any) -> State:
    return put(s, 0, put(s[0], n, shard))


# Clients.


def writer_steps(s: State, w: int):
    shards, writers, accepted, drawn = s[0], s[2], s[6], s[7]
    old = w >= len(NUMBERS)
    number = 2 if old else NUMBERS[w]
    mine, (step, done, *what) = PLACE[number], writers[w]
    epoch, mark, left = shards[mine]

    def to(step: str, *what: Any, done: int = done, s: State = s) -> State:
        return put(s, 2, put(s[2], w, (step, done, *what)))

    def found(one: Any) -> str:
        return "add" if old or BROKEN == "number" or one[0] == number else ""

    def knows(one: Any) -> State:
        if not found(one):
            return to("idle", done=ADDS)  # told; it is started anew with the right number, and then another client
        return to("before" if KEYS and not old else "add", one[1])

    if step == "idle" and done < ADDS:
        yield "learns the epoch", knows(epoch) if epoch else to("root" if not old and BROKEN != "birth" else "birth")
    elif step == "root":
        if shards[0][0]:
            yield "asks shard 0", to("birth") if found(shards[0][0]) else to("idle", done=ADDS)
        else:
            begun = shard_put(s, 0, (fresh(number, drawn + 1), *shards[0][1:]))
            yield "begins shard 0", to("birth", s=put(begun, 7, drawn + 1))
    elif step == "birth":
        if epoch:
            yield "finds it begun", knows(epoch)
        else:
            begun = put(shard_put(s, mine, (fresh(0 if old else number, drawn + 1), mark, left)), 7, drawn + 1)
            yield "begins its shard", to("before" if KEYS and not old else "add", drawn + 1, s=begun)
    elif step == "before":  # pointer, mark and what was left, at one moment; then what was left in another shard
        if not epoch or epoch[1] != what[0]:
            yield "learns anew", to("idle")
        elif not mark or BROKEN == "early":
            yield "reads of what was left", to("look", what[0], tuple(sorted({n for n, _ in left})))
    elif step == "look":
        known = any(key for n in what[1] if BROKEN != "left" for m, key in shards[PLACE[n]][2] if m == n)
        yield "looks there", to("idle", done=ADDS) if known else to("add", what[0])
    elif step == "add":
        if not epoch or epoch[1] != what[0]:
            yield "learns of another epoch", knows(epoch) if epoch else to("idle")
        elif mark and not old and BROKEN != "mark":
            pass  # waits
        elif KEYS and epoch[6]:
            yield "repeats", to("idle", done=done + 1)
        else:
            counted = (*epoch[:2], epoch[2] + 1, *epoch[3:6], KEYS)
            more = to("idle", done=done + 1, s=shard_put(s, mine, (counted, mark, left)))
            if KEYS and accepted:
                raise BadError("a key counted twice")
            yield "likes", put(more, 6, accepted + 1)


def reader_steps(s: State):
    """What it knows of its shard before it asks SQL: -1 nothing, 0 that there is no epoch, or the epoch."""
    shards, (total, cursors, *_), reader, accepted, faults = s[0], s[1], s[3], s[6], s[8]
    if reader[0] == "idle":
        for number in NUMBERS if reader[1] < READS else ():
            yield f"reader of {number} begins", put(s, 3, ("sql", reader[1], number, accepted, -1))
        return
    step, reads, number, least, known, *said = reader
    (epoch, *_), (root, *_) = shards[PLACE[number]], shards[0]

    def to(step: str, known: int, *said: Any) -> State:
        return put(s, 3, (step, reads, number, least, known, *said))

    def told(value: int) -> State:
        if not least <= value <= accepted and not faults and not OLD:
            raise BadError(f"an exact total of {value}, of {least} to {accepted}")
        return over

    over = put(s, 3, ("idle", reads + 1))
    if step == "sql":
        yield "asks SQL", to("look", known, total, cursors[PLACE[number]])
    elif step == "root":
        if root is not None and root[0] not in (0, number) and BROKEN != "reader":
            yield "is told by shard 0", over
        else:
            yield "asks shard 0", told(said[0]) if BROKEN == "rooted" else to("sql", 0)
    elif epoch is None:
        yield ("finds none", to("root", 0, *said)) if known else ("reads", over if said[1][0] else told(said[0]))
    elif epoch[0] not in (0, number) and BROKEN != "number":
        yield "is told", over
    elif not said[1][0] and known != epoch[1] and BROKEN != "known":
        yield "asks again", to("sql", epoch[1])
    else:
        total, (at, seq) = said
        seq = seq if at == epoch[1] else 0
        is_exact = at in (0, epoch[1]) and seq + bool(epoch[4]) >= epoch[3]
        yield "reads", told(total + (epoch[4] if epoch[3] > seq else 0) + epoch[2]) if is_exact else over


# The worker: each of its steps is safe by rules that the other models check.


def worker_steps(s: State):
    shards, (total, cursors, incidents, aside) = s[0], s[1]
    for n in SHARDS:
        epoch, mark, left = shards[n]
        at, seq = cursors[n]
        if epoch is None:
            continue
        drawn, pending, sealed, flight, follows = epoch[1:6]

        def sql(total: int = total, cursor: Any = (at, seq), incidents: int = incidents, n: int = n) -> State:
            return put(s, 1, (total, put(cursors, n, cursor), incidents, aside))

        if at != drawn:
            silent = not at and not sealed or follows == (at, seq) or BROKEN == "follows"
            yield f"adopts in {n}", sql(cursor=(drawn, 0), incidents=incidents + (not silent))
        elif flight and sealed == seq + 1:
            yield f"applies in {n}", sql(total + flight, (drawn, sealed))
        elif flight and sealed <= seq:
            yield f"acknowledges in {n}", shard_put(s, n, ((*epoch[:4], 0, *epoch[5:]), mark, left))
        elif sealed > seq:
            yield f"finds SQL gone back in {n}", sql(cursor=(drawn, sealed), incidents=incidents + 1)
        elif pending:
            handed = (epoch[0], drawn, 0, sealed + 1, pending, *epoch[5:])
            yield f"hands off in {n}", shard_put(s, n, (handed, mark, left))


# The command. A command: (target, step, shard)


def command_steps(s: State):
    commands, begun = s[4], s[5]
    for c, command in enumerate(commands):
        if command is None:
            if begun < COMMANDS:
                for target in NUMBERS:
                    yield (
                        f"command {c} to {target}",
                        put(put(s, 4, put(commands, c, (target, "mark", 0))), 5, begun + 1),
                    )
        else:
            yield f"command {c} dies", put(s, 4, put(commands, c, None))
            yield from one_step(s, c, command)


def one_step(s: State, c: int, command: Any):
    shards, cursors, drawn = s[0], s[1][1], s[7]
    target, step, n = command
    last = target - 1 if BROKEN == "beyond" else SHARDS[-1]

    def then(after: str, s: State = s) -> State:
        return put(s, 4, put(s[4], c, (target, step, n + 1) if n < last else (target, after, 0) if after else None))

    name = f"command {c} to {target}: {step} {n}"
    epoch, mark, left = shards[n]
    if step == "mark":
        yield name, then("begin", shard_put(s, n, (epoch, 1 if BROKEN == "target" else target, left)))
    elif step == "begin":
        root = shards[0][0]
        if epoch or BROKEN == "unborn":
            yield name + ": is there", then("drain")
        else:
            begun = shard_put(s, n, (fresh(root[0] if root else target, drawn + 1), mark, left))
            yield name, then("drain", put(begun, 7, drawn + 1))
    elif step == "drain":
        if BROKEN == "empty" or not epoch or not (epoch[2] or epoch[4]) and cursors[n] == (epoch[1], epoch[3]):
            yield name, then("repoint")
    elif step == "repoint":
        if epoch and epoch[0] == target:
            yield name + ": is so", then("adopt")
        elif mark != target and BROKEN != "target" or epoch and (epoch[2] or epoch[4]) and BROKEN != "empty":
            yield name + ": refused", put(s, 4, put(s[4], c, None))
        else:
            if epoch and (epoch[2] or epoch[4]):
                raise BadError("likes are left behind in an epoch given up")
            kept = ((epoch[0], epoch[6]),) if epoch else ()
            new = fresh(target, drawn + 1, (epoch[1], epoch[3]) if epoch else None)
            to = shard_put(s, n, (new, 0 if BROKEN == "born" else mark, left + kept if KEYS else left))
            yield name, then("adopt", put(to, 7, drawn + 1))
    elif step == "adopt":  # done by the worker's step
        if not epoch or cursors[n][0] == epoch[1]:
            yield name, then("see")
    elif step == "see":
        if not epoch or epoch[0] != target or mark not in (0, target, 1):
            yield name + ": is not", put(s, 4, put(s[4], c, None))
        else:
            yield name, then("open")
    elif step == "open":
        if mark == target or BROKEN == "target":
            yield name, then("", shard_put(s, n, (epoch, 0, left)))
        else:
            yield name + ": refused", then("") if not mark else put(s, 4, put(s[4], c, None))


def steps(s: State):
    for w in range(len(s[2])):
        for name, to in writer_steps(s, w):
            yield f"client {'old' if w >= len(NUMBERS) else NUMBERS[w]} {name}", to
    yield from reader_steps(s)
    for name, to in worker_steps(s):
        yield f"worker {name}", to
    yield from command_steps(s)
    if s[8] < FAULTS:
        yield ("SQL goes back", put(put(s, 1, s[9]), 8, s[8] + 1)) if s[9] else ("SQL is copied", put(s, 9, s[1]))


ENDS: dict[Any, str] = {}


def stuck(s: State) -> str:
    """Why a command, alone with the worker, does not end with all shards open and all counted; "" if it does."""
    shards = tuple(((*e[:6], 0) if e else None, m, ()) for e, m, _ in s[0])
    for target in NUMBERS:
        key = (shards, s[1][1], target)
        if key not in ENDS:
            alone = (shards, s[1], (), ("idle", READS), ((target, "mark", 0), None), COMMANDS, 0, s[7], FAULTS, None)
            for _ in range(200):
                moves = [*worker_steps(alone), *(one_step(alone, 0, alone[4][0]) if alone[4][0] else ())]
                if not moves:
                    break
                alone = moves[0][1]
            is_open = all(e and e[0] == target and not m and not e[2] and not e[4] for e, m, _ in alone[0])
            ENDS[key] = "" if is_open else f"reshard {target} does not end"
        if ENDS[key]:
            return ENDS[key]
    return ""


def judge(s: State) -> None:
    shards, (total, _, incidents, _), accepted = s[0], s[1], s[6]
    held = sum(e[2] + (e[4] if s[1][1][n] != (e[1], e[3]) else 0) for n, (e, _, _) in enumerate(shards) if e)
    if total + held != accepted and not incidents and not (s[8] or BROKEN == "follows"):
        raise BadError(f"{total} counted and {held} on the way, of {accepted}")
    if incidents and not s[8]:
        raise BadError("an incident without a fault")
    settled = all(not e or s[1][1][n] == (e[1], e[3]) and not e[2] for n, (e, _, _) in enumerate(shards))
    if s[8] and settled and total != accepted and not incidents:
        raise BadError(f"{total} counted of {accepted}, and nothing tells of it")
    if not BROKEN and (why := stuck(s)):
        raise BadError(why)


def main() -> int:
    first = start()
    seen: dict[State, Any] = {first: None}
    todo = deque([first])
    while todo:
        s = todo.popleft()
        try:
            judge(s)
            for name, to in steps(s):
                if to not in seen:
                    seen[to] = s, name
                    todo.append(to)
        except BadError as bad:
            path = []
            while seen[s]:
                s, name = seen[s]
                path.append(name)
            print(f"{bad}, after", *reversed(path), sep="\n  ")
            return 1
    print(f"{len(seen):,} states, every like counts once and every exact total is true")
    return 0


if __name__ == "__main__":
    sys.exit(main())
