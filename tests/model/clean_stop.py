"""Exhaustive check of the embedded server's lineage: a flush that believes nothing was forgotten is right.

The server writes a log, of which a kill may lose any end. Its memory is what the log says.

stop      the word "stopped" and the end of the server, in one packet: nobody writes in between, and all of the log is
          kept; a server that is still closed takes no word
start     a new process, closed to writes
open      the run id in place of "stopped", or a lineage of its own, synced; with it, in one transaction, open to writes
flush     the cursor's run id is another: all is whole if this process is the first of its lineage and that one is in it

    python3 clean_stop.py
    python3 clean_stop.py --break X     # each prints a history in which a like is lost and the flush believes none is
        door    open from the start: a like may come before the lineage is known, and a kill leave "stopped" at the head
        apart   the word is written, the server ends some time later, or never
        shut    the word is written to a server that is still closed, too
        sync    the run id may be lost from the log, together with likes that came after it
        mark    no lineage: a mark with the run id that was stopped, believed if it is the cursor's
"""

from __future__ import annotations

import sys
from collections import deque
from typing import NamedTuple

BROKEN = sys.argv[sys.argv.index("--break") + 1] if "--break" in sys.argv else ""
LIKES, STARTS = 2, 3

Log = tuple[object, ...]  # a like, "stopped", or the run id of a process that opened


class State(NamedTuple):
    """run: the process, 0 for none. cursor: whom SQL knows. lost: a like accepted since the last flush is gone."""

    log: Log = (1,)
    run: int = 1
    is_open: bool = True
    cursor: int = 1
    starts: int = 1
    likes: int = 0
    lost: bool = False


def lineage(log: Log) -> list[object]:
    """The list in memory, its head first."""
    found: list[object] = []
    for entry in log:
        if entry == "like":
            continue
        if entry != "stopped" and found[:1] != [entry]:
            found = found[1:] if found[:1] == ["stopped"] else []
        if found[:1] != [entry]:
            found.insert(0, entry)
    return found


def believes(s: State) -> bool:
    if BROKEN == "mark":
        return f"stopped {s.cursor}" in s.log
    found = lineage(s.log)
    return found[:1] == [s.run] and s.cursor in found


def moves(s: State) -> list[tuple[str, State]]:
    if not s.run:
        begun = s._replace(run=s.starts + 1, starts=s.starts + 1, is_open=BROKEN in ("door", "mark"))
        return [("start", begun)] if s.starts < STARTS else []
    found = []
    if s.run not in lineage(s.log)[:1] and BROKEN != "mark":
        found.append(("open", s._replace(log=(*s.log, s.run), is_open=True)))
    if s.is_open and s.likes < LIKES:
        found.append(("like", s._replace(log=(*s.log, "like"), likes=s.likes + 1)))
    if BROKEN == "apart":
        if s.is_open and s.log[-1:] != ("stopped",):
            found.append(("say stopped", s._replace(log=(*s.log, "stopped"))))
        found.append(("end", s._replace(run=0)))
    else:
        word = f"stopped {s.run}" if BROKEN == "mark" else "stopped"
        said = (*s.log, word) if s.is_open or BROKEN == "shut" else s.log
        found.append(("stop", s._replace(log=said, run=0)))
    synced = max((n for n, entry in enumerate(s.log, start=1) if entry == s.run or entry == "stopped"), default=0)
    for kept in range(0 if BROKEN in ("sync", "mark", "apart") else synced, len(s.log) + 1):
        lost = s.lost or "like" in s.log[kept:]
        found.append((f"kill, {len(s.log) - kept} entries lost", s._replace(log=s.log[:kept], run=0, lost=lost)))
    if s.is_open:
        rest = tuple(entry for entry in s.log if entry != "like")  # what was flushed cannot be lost
        found.append(("flush", s._replace(log=rest, cursor=s.run, lost=False)))
    return found


def main() -> int:
    came: dict[State, tuple[State, str] | None] = {State(): None}
    queue = deque(came)
    while queue:
        s = queue.popleft()
        if s.run and s.is_open and s.run != s.cursor and s.lost and believes(s):
            history: list[str] = []
            here = s
            while (before := came[here]) is not None:
                history.append(before[1])
                here = before[0]
            print("a flush would believe that nothing was lost:", *reversed(history), sep="\n  ")
            return 1
        for name, after in moves(s):
            if after not in came:
                came[after] = s, name
                queue.append(after)
    print(f"{len(came):,} states")
    return 0


if __name__ == "__main__":
    sys.exit(main())
