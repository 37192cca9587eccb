"""`likes serve` as a process, and requests to it over real sockets."""

from __future__ import annotations

from typing import Self

import httpx

from tests.running_worker import Running
from tests.shell import Shell


class RunningApi(Running):
    """`likes serve` on a free port, which takes requests; killed at the end of the block if it still runs."""

    def __init__(self, shell: Shell, *words: str, **settings: object) -> None:
        super().__init__(shell, "serve", *words, **{"http_port": 0, **settings})

    def __enter__(self) -> Self:
        self.address: str = self.wait_for("serving")["address"]
        path = self.address.removeprefix("unix:") if self.address.startswith("unix:") else None
        base = "http://localhost" if path else self.address
        self.client = httpx.Client(base_url=base, timeout=30, transport=httpx.HTTPTransport(uds=path))
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        super().__exit__()
