"""Tokens: 256 random bits, behind the number of the shard that the session lies in. Only the hash is kept."""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from typing import NamedTuple, Self

from likes.items import shard_of

SESSION_SHARDS = 16  # for ever: it stands in tokens
_FORM = re.compile(r"(\d|[1-9]\d)\.[A-Za-z0-9_-]{43}")


class Place(NamedTuple):
    """Where a session lies: its shard, and the SHA-256 of its token in hexadecimal digits."""

    shard: int
    digest: str

    @classmethod
    def of(cls, token: str) -> Self | None:
        """The place of the session with this token; None for what is no token of ours."""
        form = _FORM.fullmatch(token)
        if form is None or int(form[1]) >= SESSION_SHARDS:
            return None
        return cls(int(form[1]), sha256(token.encode()).hexdigest())


class Fresh(NamedTuple):
    """A token that was just drawn, and the place it leads to."""

    token: str
    place: Place


def draw(shard: int) -> Fresh:
    """A new token of a shard."""
    token = f"{shard}.{secrets.token_urlsafe(32)}"
    return Fresh(token, Place(shard, sha256(token.encode()).hexdigest()))


def shard_for(user: str) -> int:
    """The shard of a user's sessions; any for nobody's."""
    return shard_of(user.encode(), SESSION_SHARDS) if user else secrets.randbelow(SESSION_SHARDS)
