"""Who may ask for what: `Authorization: Bearer KEY`, or `X-API-Key: KEY` where Authorization carries something else (a
session's token, what a proxy asks for). Bearer, as every client and scraper can send it and 401 has a challenge for it.

Full keys (LIKES_API_KEYS) may do everything; public ones (LIKES_PUBLIC_KEYS), which every browser knows, may like and
read. Without any the API is for this machine alone (`loopback`).
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from likes.api.exposure import check_exposure
from likes.api.loopback import Loopback
from likes.api.origins import as_sent
from likes.api.problems import Problem

if TYPE_CHECKING:
    from likes.config.settings import Settings


class Caller(NamedTuple):
    """Who asks. name: tells keys apart without telling them, the same in every process; empty where none is needed."""

    name: str
    is_full: bool

    def check_count(self, count: int) -> int:
        """Return `count` if this caller may ask for it. Every browser knows a public key: it counts one at a time."""
        if self.is_full or count in (1, -1):
            return count
        raise Problem(HTTPStatus.FORBIDDEN, "forbidden", "a public key may count 1 or -1 of an item; send a full one")


KEY_BESIDE = "fullKeyBeside"
FULL_SCHEMES = ("fullKey", KEY_BESIDE)  # as the document names what is a key
SCHEMES = ("key", *FULL_SCHEMES)

WITHOUT_KEY = Caller("", is_full=True)


class Door:
    """Lets requests in, by their headers alone: for the application and for what stands before it."""

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError for settings that would let in anybody."""
        check_exposure(settings)
        given = [(key, True) for key in settings.api_keys] + [(key, False) for key in settings.public_keys]
        self._keys = [_known(key.get_secret_value(), is_full=is_full) for key, is_full in given]
        self._loopback = None if given else Loopback([as_sent(origin) for origin in settings.http_origins])

    @property
    def needs_key(self) -> bool:
        """True if every request has to bring a key."""
        return self._loopback is None

    def check(self, method: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raise Problem for what must not be answered, whatever it asks for."""
        if self._loopback is not None:
            self._loopback.check(method, headers)

    def caller(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Who asks, by the key in `headers`, whose names are in lower case; raises Problem for none or a wrong one."""
        sent = list(headers)
        if (caller := self.known(sent)) is not None:
            return caller
        if _key_in(sent) is None:
            raise _unauthorized("send a key, as Authorization: Bearer KEY", "")
        raise _unauthorized("the key is not one of this server's", ', error="invalid_token"')

    def known(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller | None:
        """Who asks, or None for no key or a wrong one."""
        if self._loopback is not None:
            return WITHOUT_KEY
        digest = sha256(_key_in(headers) or b"").digest()
        found = [caller for known, caller in self._keys if compare_digest(known, digest)]  # all, whichever it is
        return found[0] if found else None


def _known(key: str, *, is_full: bool) -> tuple[bytes, Caller]:
    digest = sha256(key.encode()).digest()
    return digest, Caller(digest.hex()[:32], is_full)


def _key_in(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The only key that `headers` bring, if they bring one."""
    keys: list[bytes] = []
    bearers: list[bytes] = []
    for name, value in headers:
        if name == b"x-api-key":
            keys.append(value)
        elif name == b"authorization" and value[:7].lower() == b"bearer ":
            bearers.append(value[7:].strip())
    given = keys or bearers
    return given[0] if len(given) == 1 else None


def _unauthorized(detail: str, error: str) -> Problem:
    challenge = {"WWW-Authenticate": f'Bearer realm="likes"{error}'}
    return Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", detail, headers=challenge)


class _Key(SecurityBase):
    """A key as OpenAPI describes it, and the dependency that asks for it; calling it tells who asks."""

    def __init__(self, name: str, description: str, *, full: bool) -> None:
        self.scheme_name = name
        self.model = HTTPBearer(description=f"{description} Or in the header X-API-Key.")
        self._full = full

    async def __call__(self, request: Request) -> Caller:
        door: Door = request.app.state.door
        caller = door.caller(request.scope["headers"])
        if self._full and not caller.is_full:
            raise Problem(HTTPStatus.FORBIDDEN, "forbidden", "a public key may only like and read; send a full one")
        return caller


# For `dependencies=[Anyone]` of a router or a route; or `caller: Annotated[Caller, Anyone]`, to know who asks.
Anyone = Depends(_Key("key", "A key of LIKES_PUBLIC_KEYS or LIKES_API_KEYS.", full=False))
full_key = _Key("fullKey", "A key of LIKES_API_KEYS.", full=True)
Full = Depends(full_key)
BESIDE = {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key of LIKES_API_KEYS in X-API-Key."}
