"""The reads of one event-loop turn, put into one look at each shard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from likes.deadline import Deadline
from likes.errors import LikesError
from likes.live.read import Tell
from likes.live.total import LiveTotal
from likes.member import Member

MOST_MEMBERS = 500  # of one read: the arguments of a script, and the items of a query

Found = dict[Member, LiveTotal | LikesError]


class Waiting:
    """One caller, who waits for some members."""

    def __init__(self, members: int) -> None:
        self.found: Found = {}
        self.left = members
        self.over: asyncio.Future[Found] = asyncio.get_running_loop().create_future()

    def hear(self, member: Member, total: LiveTotal | LikesError) -> None:
        """Take one of them; with the last the caller goes on."""
        self.found[member] = total
        self.left -= 1
        if not self.left and not self.over.done():
            self.over.set_result(self.found)


class ReadTurn:
    """What is read together: members by shard, and who waits for each."""

    def __init__(self) -> None:
        self.members: dict[int, list[Member]] = {}
        self._waiting: dict[Member, list[Waiting]] = {}

    def has_room_for(self, members: Mapping[int, Sequence[Member]]) -> bool:
        """True if they may join; those that it reads already take no room."""
        fresh = sum(member not in self._waiting for some in members.values() for member in some)
        return not fresh or len(self._waiting) + fresh <= MOST_MEMBERS

    def join(self, members: Mapping[int, Sequence[Member]]) -> asyncio.Future[Found]:
        """What was found of `members`, each once, given by shard; in any order."""
        waiting = Waiting(sum(map(len, members.values())))
        for shard, some in members.items():
            of_shard = self.members.setdefault(shard, [])
            for member in some:
                if member not in self._waiting:
                    self._waiting[member] = []
                    of_shard.append(member)
                self._waiting[member].append(waiting)
        return waiting.over

    def tell(self, member: Member, total: LiveTotal | LikesError) -> None:
        """Tell all who wait for a member."""
        for waiting in self._waiting.pop(member, ()):
            waiting.hear(member, total)

    def fail(self, error: Exception) -> None:
        """Nothing more will be found."""
        for waiting in {waiting for some in self._waiting.values() for waiting in some}:
            if not waiting.over.done():
                waiting.over.set_exception(error)
                waiting.over.exception()  # else asyncio warns of it where the caller has gone


class LoopReads:
    """Gathers what the tasks of one event loop read.

    read: reads members, given by shard, within so many seconds, and tells each as soon as it is known.
    """

    def __init__(self, read: Callable[[Mapping[int, Sequence[Member]], Deadline, Tell, bool], Awaitable[None]]) -> None:
        self._read = read
        self._filling: dict[tuple[float, bool], ReadTurn] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def live(self, members: Mapping[int, Sequence[Member]], timeout: float, *, or_database: bool) -> Found:
        """The live total of each member, or the error in its place, read together with those of this turn."""
        kind = timeout, or_database
        turn = self._filling.get(kind)
        if turn is None or not turn.has_room_for(members):
            turn = self._filling[kind] = ReadTurn()
            self._tasks.add(task := asyncio.create_task(self._read_turn(turn, kind)))
            task.add_done_callback(self._tasks.discard)
        return await turn.join(members)

    async def _read_turn(self, turn: ReadTurn, kind: tuple[float, bool]) -> None:
        # A task starts in the next turn of the loop: by then every call of this one has joined.
        if not turn.members:  # it is an eager task (Python 3.12), which starts at once
            await asyncio.sleep(0)
        if self._filling.get(kind) is turn:
            del self._filling[kind]
        timeout, or_database = kind
        try:
            await self._read(turn.members, Deadline(timeout), turn.tell, or_database)
        except Exception as error:  # noqa: BLE001 (handed to every caller)
            turn.fail(error)
        except asyncio.CancelledError as cancelled:  # the loop ends
            turn.fail(LikesError(f"the read was given up: {cancelled}"))
            raise
