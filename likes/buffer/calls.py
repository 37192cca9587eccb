"""A call: what is sent to Redis for a shard, and how its reply is read. A value; a link sends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha1
from importlib.resources import files
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Word = bytes | str | int


class Script:
    """One `.lua` file and its digest. alone: nothing may be sent behind it on its connection before it is answered.

    package: whose folder `lua` it is in. prelude: the file there that it begins with.
    inside: a script that this one runs as a function of its name, which is given KEYS and ARGV.
    """

    def __init__(
        self,
        name: str,
        *,
        alone: bool = False,
        package: str = "likes.buffer",
        prelude: str | None = None,
        inside: Script | None = None,
    ) -> None:
        self.name = name
        self.alone = alone
        folder = files(package).joinpath("lua")
        self.source = b"".join(folder.joinpath(f"{part}.lua").read_bytes() for part in (prelude, name) if part)
        if inside:
            function = b"local function %s(KEYS, ARGV)\n%s\nend\n" % (inside.name.encode(), inside.source)
            self.source = function + self.source
        self.sha = sha1(self.source, usedforsecurity=False).hexdigest()

    def call(self, shard: int, keys: Sequence[Word], arguments: Sequence[Word], read: Callable[[Any], T]) -> Call[T]:
        """The call of this script with every key it touches declared."""
        return Call(("EVALSHA", self.sha, len(keys), *keys, *arguments), read, shard, self)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A command for Redis and how to read its reply. shard: whose keys it touches, None if it is for a server.

    vouches: its reply is about the calls before it that go to the same server, so it is sent behind them on their
    connection; where one of them was not run and is sent again, it is, too.
    """

    words: tuple[Word, ...]
    read: Callable[[Any], T]
    shard: int | None = None
    script: Script | None = None
    vouches: bool = False

    @property
    def key(self) -> bytes | None:
        """The key that a plain command touches, if it is just one."""
        word = self.words[1] if self.script is None and self.shard is not None and len(self.words) > 1 else None
        return word if isinstance(word, bytes) else None

    @property
    def placed_by(self) -> bytes | None:
        """The key by which a cluster knows where it belongs; None if any node will do."""
        return _first_key(self)

    @property
    def node(self) -> str | None:
        """The only node of a cluster that may do it, as messages call it; None for whichever has its keys."""
        return None

    def on(self, node: str | None) -> Call[T]:
        """The same for one node alone; None for whichever has its keys."""
        if not node:
            return self
        at = self.placed_by
        return PlacedCall(self.words, self.read, self.shard, self.script, self.vouches, at=at, for_node=node)

    @property
    def given(self) -> tuple[Sequence[Word], Sequence[Word]]:
        """The KEYS and ARGV of its script."""
        end = 3 + int(self.words[2])
        return self.words[3:end], self.words[end:]

    @property
    def alone(self) -> bool:
        """True if nothing may be sent behind it on its connection before it is answered."""
        return self.script is not None and self.script.alone

    @property
    def whole(self) -> Call[T]:
        """The same with the source of its script instead of the digest."""
        return replace(self, words=("EVAL", self.script.source, *self.words[2:])) if self.script else self


@dataclass(frozen=True, slots=True)
class PlacedCall(Call[T]):
    """One that says itself where in a cluster it belongs: with this key, or on this node alone."""

    at: bytes | None = None
    for_node: str | None = None

    @property
    def placed_by(self) -> bytes | None:
        """The key by which a cluster knows where it belongs."""
        return self.at or _first_key(self)

    @property
    def node(self) -> str | None:
        """The only node of a cluster that may do it."""
        return self.for_node


def _first_key(call: Call[Any]) -> bytes | None:
    if call.script is None:
        return call.key
    first = call.words[3]
    return first if isinstance(first, bytes) else str(first).encode()


def command(*words: Word, shard: int | None = None, at: bytes | None = None) -> Call[Any]:
    """A plain command; its reply is left as it comes. at: for one that names no key, one that lies where it is for."""
    if at is not None:
        return PlacedCall(words, _as_it_comes, shard, at=at)
    return Call(words, _as_it_comes, shard)


def _as_it_comes(reply: object) -> object:
    return reply
