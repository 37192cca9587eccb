"""One read of live totals: what is still to be found, and who is told what was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from likes.errors import LikesError, RedisUnavailable
from likes.live.total import LiveTotal
from likes.member import Member

TRIES = 5  # where what SQL said does not fit, or a batch in flight is gone; then it is told as it is, not exact

Tell = Callable[[Member, LiveTotal | LikesError], object]


class Read:
    """The members of each shard that nobody was told of yet. `away`: those that Redis was to be asked for in vain.

    tries: how often what SQL said did not fit what Redis held.
    """

    def __init__(self, members: Mapping[int, Sequence[Member]], tell: Tell) -> None:
        self.todo = {shard: dict.fromkeys(some) for shard, some in members.items()}
        self.away: dict[int, tuple[list[Member], RedisUnavailable]] = {}
        self.tries = 0
        self._in_vain: Counter[int] = Counter()
        self._tell = tell

    def waits_for(self, members: Mapping[int, Iterable[Member]]) -> bool:
        """True if one of these, given by shard, is still to be told."""
        return any(member in self.todo.get(shard, ()) for shard, some in members.items() for member in some)

    def looks_in_vain(self, shard: int) -> int:
        """How often a shard was looked at while a batch in flight was gone, with this time."""
        self._in_vain[shard] += 1
        return self._in_vain[shard]

    def found(self, shard: int, member: Member, total: LiveTotal) -> None:
        """Tell a total; one told before was only read anew for the cache."""
        left = self.todo.get(shard, {})
        if member in left:
            del left[member]
            if not left:
                del self.todo[shard]
            self._tell(member, total)

    def failed(self, shard: int, error: LikesError) -> None:
        """Redis answered with an error for a shard, or not at all."""
        members = [*self.todo.pop(shard, ())]
        if isinstance(error, RedisUnavailable):
            self.away[shard] = members, error
        else:
            self._tell_all(members, error)

    def sql_failed(self, asked: Mapping[int, Iterable[Member]], error: LikesError) -> None:
        """SQL answered with an error for those that it was asked for."""
        for shard, members in asked.items():
            left = self.todo.get(shard, {})
            lost = [member for member in members if left.pop(member, 0) is None]
            if shard in self.todo and not left:
                del self.todo[shard]
            self._tell_all(lost, error)

    def tell_away(self) -> None:
        """Tell of those whose Redis was away."""
        for members, error in self.away.values():
            self._tell_all(members, error)

    def _tell_all(self, members: Iterable[Member], what: LiveTotal | LikesError) -> None:
        for member in members:
            self._tell(member, what)
