"""The protocol that uvicorn is given: whole requests, in time, on so many connections.

Nobody sets timers: the server looks at all connections twice a second.

For a subclass: `dispatch` is called with `method`, `url`, `headers` and `body` of a whole request. It may answer itself
where `is_busy` is False, as answers go out in the order of their requests: `cycle` is to be an object then that has
`response_complete`, `response_started`, `keep_alive`, `disconnected` and `message_event`; `on_response_complete` is to
be called at its end, and where `keep_alive` is False the transport closed before. Problem may be raised in it.
"""

from __future__ import annotations

import asyncio
from typing import cast

from likes.api.serving import refusals
from likes.api.serving.requests import HEAD, LAST, NOTHING, Requests


class Guard(Requests):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take it, or say at once that there are too many."""
        super().connection_made(cast("asyncio.Transport", transport))
        if len(self.connections) > self.limits.connections:
            self.refuse(refusals.too_many_connections())

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        self.since = self.server_state.now

    def look(self) -> None:
        """End what does not get on."""
        waited = self.server_state.now - self.since
        if self.is_busy:
            if self.flow.write_paused and waited > self.limits.stuck_seconds:
                self.transport.abort()
        elif self.stage is LAST:
            if waited > self.limits.linger_seconds:
                self.transport.abort()
        elif self.stage is NOTHING:
            stopping = self.server_state.stopping
            if waited > (self.limits.idle_seconds if stopping is None else stopping):
                self.transport.close()
        elif waited > self._patience():
            self.refuse(refusals.too_slow("head" if self.stage is HEAD else "body"))

    def _patience(self) -> float:
        seconds = self.limits.head_seconds if self.stage is HEAD else self.limits.body_seconds
        return seconds if self.server_state.stopping is None else min(seconds, self.limits.stopping_seconds)

    def shutdown(self) -> None:
        """The process is to end: the answer that is owed last says so; `look` ends a connection that owes none."""
        if self.is_busy:
            self.cycle.keep_alive = False
        self.since = self.server_state.now

    def cut_off(self) -> None:
        """End now. Whoever was told nothing yet is told that."""
        waits_for = self._answered if self._answered and not self._answered.response_complete else self.cycle
        if self.is_busy and not waits_for.response_started:
            waits_for.disconnected = True
            self.transport.write(refusals.written(refusals.cut_off(), self.server_state.default_headers))
        self.transport.close()
