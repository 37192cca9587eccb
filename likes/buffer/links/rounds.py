"""What a link is wanted to do: carry calls to servers side by side, or wait. Whoever wants it does no I/O itself."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

from likes.buffer.calls import Call
from likes.buffer.encryption import named
from likes.deadline import Deadline
from likes.errors import LikesError


class Node(NamedTuple):
    """The address of a server. tls: it is spoken to over TLS."""

    host: str
    port: int
    tls: bool = False

    @property
    def address(self) -> str:
        """As it is written."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def where(self) -> str:
        """What messages call it."""
        return named(self.address, tls=self.tls)


class Leg(NamedTuple):
    """Calls for one node, in their order."""

    node: Node
    calls: Sequence[Call[Any]]


class Round(NamedTuple):
    """Wants legs carried out side by side; is sent the replies of each, which are as those of a link."""

    legs: Sequence[Leg]
    deadline: Deadline


class Wait(NamedTuple):
    """Wants to wait; is sent None."""

    seconds: float


Delivery = Generator[Round | Wait, Any, list[Any]]
Search = Generator[Round | Wait, Any, LikesError | None]
