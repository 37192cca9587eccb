"""LIKES_RATE_LIMIT: who has asked too often lately is answered 429, and everybody is told what is left.

A client is a key, each address that uses a public key, which every browser knows, or an address where no key is needed
or a wrong one was sent. The fields are those of draft-ietf-httpapi-ratelimit-headers-11.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from likes.api.opened import Api
from likes.api.problems import Problem
from likes.limiting.allowances import Allowances, Verdict
from likes.limiting.limiter import client_id

POLICY = "default"
Headers = list[tuple[bytes, bytes]]


class Asking(Protocol):
    """Who asks, by a key that was found right. name: tells keys apart."""

    @property
    def name(self) -> str: ...
    @property
    def is_full(self) -> bool: ...


class RateLimits:
    """Has requests to `/v1/` pass to `app` as often as may be.

    client: who asks, as `client_of` says.
    """

    def __init__(self, app: ASGIApp, client: Callable[[Scope], str]) -> None:
        self._app = app
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or say when it may come again."""
        limiter = _api(scope).limiter if scope["type"] == "http" else None
        if limiter is None or scope["method"] == "OPTIONS" or not is_limited(_path(scope)):
            await self._app(scope, receive, send)
            return
        verdict = await limiter.verdict(self._client(scope))
        if not verdict.passes:
            await too_many(limiter.allowances, verdict).response()(scope, receive, send)
            return
        told = fields(limiter.allowances, verdict)

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *told]}
            await send(message)

        await self._app(scope, receive, send_more)


def is_limited(path: str) -> bool:
    """Whether requests to a path count, and may be refused."""
    return path.startswith("/v1/")


def client_of(peer: str, asking: Asking | None = None) -> str:
    """Who asks from the address `peer`, for a rate limit: 32 hexadecimal digits that tell nobody who it is."""
    if asking is None or not asking.name:
        return client_id("peer", _network(peer))
    return client_id("key", asking.name) if asking.is_full else client_id("key", asking.name, _network(peer))


def client_by(caller: Callable[[Iterable[tuple[bytes, bytes]]], Asking]) -> Callable[[Scope], str]:
    """Who asks, by the key that `caller` finds in the headers of a request; it raises Problem where there is none."""

    def client(scope: Scope) -> str:
        try:
            return client_of(peer_of(scope), caller(scope["headers"]))
        except Problem:
            return client_of(peer_of(scope))

    return client


def peer_of(scope: Scope) -> str:
    """The address that a request came from, "" if it came over a unix socket."""
    host: str = (scope.get("client") or ("", 0))[0]
    return host


def fields(allowances: Allowances, verdict: Verdict) -> Headers:
    """What an answer says of the limit."""
    window = math.ceil(allowances.seconds)
    policy = f'"{POLICY}";q={allowances.requests};w={window}'
    limit = f'"{POLICY}";r={verdict.remaining};t={_whole(verdict.seconds)}'
    return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", limit.encode())]


def too_many(allowances: Allowances, verdict: Verdict) -> Problem:
    """The answer to a request that may not pass."""
    seconds = max(1, _whole(verdict.seconds))
    headers = {name.decode(): value.decode() for name, value in fields(allowances, verdict)}
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "quota-exceeded",
        f"allowed: {allowances.requests} requests in {allowances.seconds:g} s; the next may come in {seconds} s",
        headers={**headers, "Retry-After": str(seconds)},
        **{"violated-policies": [POLICY]},
    )


def _api(scope: Scope) -> Api:
    api: Api = scope["app"].state.api
    return api


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _whole(seconds: float) -> int:
    return math.ceil(seconds - 1e-6)


def _network(peer: str) -> str:
    """An address of IPv6 stands for its network of /64: one customer has all of it."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)
