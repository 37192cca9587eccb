"""What a link has to know of the servers behind it: to which of them a call goes. Without I/O.

There are two that tell: the nodes of a Redis Cluster (`slots`) and Sentinels (`sentinels`). Either may be behind, so
this is where to try first; who a call belongs to is certain only once that server has answered.
"""

from __future__ import annotations

from typing import Protocol

from likes.buffer.links.rounds import Node, Search


class Routes(Protocol):
    """For any number of threads: what is told replaces what was known, as a whole."""

    @property
    def is_stale(self) -> bool:
        """True if somebody should be asked before the next call."""
        ...

    def find(self, seconds: float) -> Search:
        """Ask, for at most so long. Returns why nothing was learned, if that is so."""
        ...

    def owner(self, key: bytes | None) -> Node | None:
        """Who has a key, None if nobody is known to; some server for no key."""
        ...

    def knows(self, node: Node) -> bool:
        """False for one that calls no longer go to."""
        ...

    def answered(self, node: Node) -> None:
        """A server did what was sent to it."""
        ...

    def doubt(self, node: Node | None) -> None:
        """A server did not answer, or takes no calls: another one may have taken its place. None: nobody had a key."""
        ...

    def moved(self, to: Node) -> None:
        """A key is there now, so that what is known is old; that node knows better."""
        ...
