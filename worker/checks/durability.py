"""Whether Redis can give what LIKES_DURABILITY asks for, what would be better, and whether all workers agree."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from likes.buffer.buffer import Buffer
from likes.buffer.durability import NONE, REPLICAS
from likes.buffer.heartbeat import read_workers
from worker.checks.finding import Finding, Level

NAME = "durability"


def check_durability(buffer: Buffer, replicas: int, shards: Collection[int], user: str) -> Iterator[Finding]:
    """What is wrong with it; nothing where nothing is waited for and no replica follows. Raises Unavailable.

    replicas: how many follow each server, at least.
    """
    wanted = buffer.durability.wanted
    lacks = buffer.durability.lacks(shards)
    for found, fix in lacks:
        typed = f"redis-cli ACL SETUSER {user} {fix}" if fix.startswith("+") else fix
        yield Finding(Level.ERROR, NAME, f"LIKES_DURABILITY is {wanted}, but {found}", typed)
    if not lacks:
        yield from _compare(wanted, replicas)
    yield from _others(buffer)


def _compare(wanted: str, replicas: int) -> Iterator[Finding]:
    """With what follows the server: whatever is promoted must have what the database has."""
    covering = f"{REPLICAS}:{replicas}"
    better = f"export LIKES_DURABILITY={covering}"
    if wanted == covering:
        yield Finding(Level.OK, NAME, f"{wanted}: the database gets no batch before every replica has it")
    elif wanted.startswith(REPLICAS):
        found = f"{wanted}, and {replicas} follow: right only where the others are never promoted"
        yield Finding(Level.INFO, NAME, found, better)
    elif replicas:
        found = f"replicas follow ({replicas}), and none is waited for: one that is promoted may lack what was flushed"
        yield Finding(Level.WARNING, NAME, found, better)
    elif wanted != NONE:
        yield Finding(Level.OK, NAME, f"{wanted}: the database gets no batch before the disk has it")


def _others(buffer: Buffer) -> Iterator[Finding]:
    ours = buffer.durability.wanted
    others = {worker.name: worker.durability for worker in read_workers(buffer) or () if worker.durability != ours}
    if others:
        said = ", ".join(f"{name} has {theirs}" for name, theirs in others.items())
        found = f"here LIKES_DURABILITY is {ours}, but {said}: what one leaves in flight another applies"
        yield Finding(Level.WARNING, "workers", found, f"export LIKES_DURABILITY={next(iter(others.values()))}")
