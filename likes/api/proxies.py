"""Who asks and by which scheme, where a proxy stands in front: X-Forwarded-For and X-Forwarded-Proto, as uvicorn reads
them, from the proxies in LIKES_HTTP_TRUSTED_PROXIES alone. Anybody else may write what he likes into them.

The client is the right-most address that is no trusted proxy. `Forwarded` (RFC 7239) is not read: proxies that send it
send these, too. Whoever can open a unix socket is the proxy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

UNIX_SOCKET = "unix"  # the address of a peer that has none


class TrustedProxies:
    """Gives `app` the client's address, and the scheme it used."""

    def __init__(self, app: ASGIApp, networks: Iterable[str]) -> None:
        trusted = [UNIX_SOCKET, *_with_mapped(networks)]
        self._proxies: Any = ProxyHeadersMiddleware(cast("Any", app), trusted)  # it has types of its own for ASGI

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and not scope.get("client"):
            scope = {**scope, "client": (UNIX_SOCKET, 0)}
        await self._proxies(scope, receive, send)


def _with_mapped(networks: Iterable[str]) -> Iterable[str]:
    """The networks, those of IPv4 also as a socket for both families names them, such as ::ffff:10.0.0.1."""
    for network in map(ipaddress.ip_network, networks):
        yield str(network)
        if network.version == 4:
            yield f"::ffff:{network.network_address}/{96 + network.prefixlen}"
