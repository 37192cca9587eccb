"""What every answer has: headers that keep browsers from guessing, caching and embedding; and an end."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from likes.api import events, problems

# A total is live, and a like is no page: nothing is kept or shown in a frame. A page of ours has a policy of its own.
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class Answers:
    """Has every answer of `app` carry HEADERS, and answers where it fails."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_more(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = list(message.get("headers", ()))
                given = {name.lower() for name, _ in headers}
                message = {**message, "headers": headers + [each for each in HEADERS if each[0] not in given]}
            await send(message)

        try:
            await self._app(scope, receive, send_more)
        except Exception as error:
            events.not_caught(scope["method"], ascii(scope["path"]), error)
            if started:
                raise  # the server cuts it off, so that nobody takes it for whole
            await problems.internal().response()(scope, receive, send_more)
