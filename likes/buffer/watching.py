"""What Sentinels say of the master that they watch, one by one, to find out whether they would fail over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from likes.buffer.calls import command
from likes.buffer.links.link import Link
from likes.buffer.refusals import is_no_sentinel
from likes.errors import LikesError

Address = tuple[str, int]
_NO_SUCH = "No such master"


@dataclass(frozen=True, slots=True)
class Watcher:
    """One Sentinel.

    error: why it says nothing. master: whom it names, None if it watches no such master.
    others: the Sentinels it knows of beside itself. replicas, quorum: as it counts them.
    no_quorum: why it could not have a failover now, "" if it could.
    """

    at: Address
    where: str
    error: LikesError | None = None
    master: Address | None = None
    others: list[Address] = field(default_factory=list)
    replicas: int = 0
    quorum: int = 0
    no_quorum: str = ""


def look_at(links: Mapping[Address, Link], service: str) -> list[Watcher]:
    """What each of them says of the master called `service`."""
    return [_ask(at, link, service) for at, link in links.items()]


def _ask(at: Address, link: Link, service: str) -> Watcher:
    words = ("MASTER", "SENTINELS", "CKQUORUM")
    master, others, quorum = link.send([command("SENTINEL", word, service) for word in words])
    if isinstance(master, LikesError) and _NO_SUCH in str(master):
        return Watcher(at, link.where)
    for reply in (master, others, quorum):
        if isinstance(reply, LikesError) and "NOQUORUM" not in str(reply):
            return Watcher(at, link.where, is_no_sentinel(reply, link.where))
    said = _fields(master)
    return Watcher(
        at,
        link.where,
        master=_address(said),
        others=[_address(_fields(each)) for each in others],
        replicas=int(said["num-slaves"]),
        quorum=int(said["quorum"]),
        no_quorum=str(quorum).partition("NOQUORUM ")[2] if isinstance(quorum, LikesError) else "",
    )


def _fields(reply: list[bytes]) -> dict[str, str]:
    texts = [each.decode(errors="replace") for each in reply]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _address(said: Mapping[str, Any]) -> Address:
    return said["ip"], int(said["port"])
