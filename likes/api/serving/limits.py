"""What one connection may take: time, bytes, numbers; and how many connections a process has."""

from __future__ import annotations

import resource
from dataclasses import dataclass

KEPT_FILES = 128  # of the files a process may have open: for Redis, the database, the program itself


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, bytes, numbers.

    head_seconds: from the first byte of a request to the end of its headers. body_seconds: from there to its end.
    idle_seconds: without a request; longer than proxies keep theirs (60), or they would meet a closing connection.
    stuck_seconds: an answer that nobody reads. linger_seconds: after a last answer, for the client to have read it.
    """

    head_seconds: float = 10.0
    body_seconds: float = 20.0
    idle_seconds: float = 75.0
    stuck_seconds: float = 30.0
    linger_seconds: float = 2.0
    stopping_seconds: float = 2.0
    head_bytes: int = 32 * 1024
    headers: int = 100
    body_bytes: int = 64 * 1024
    framing_bytes: int = 512 * 1024  # with chunks of a byte each the frame is the most of it
    connections: int = 4096


def connections_possible(most: int) -> int:
    """`most`, or fewer where the system lets this process have fewer files; raises its own limit as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + KEPT_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(soft - KEPT_FILES, 1)
    return most
