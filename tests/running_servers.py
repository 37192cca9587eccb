"""Several servers that belong together, during a block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, Self, TypeVar

import pytest

from tests.servers import MissingServerError


class Servers(Protocol):
    """What is started and removed as one."""

    def start(self) -> Self: ...
    def remove(self) -> None: ...


Made = TypeVar("Made", bound=Servers)


@contextmanager
def running(make: Callable[[], Made]) -> Iterator[Made]:
    """They run during the block; where one of them is not installed the test is skipped."""
    try:
        made = make()
    except MissingServerError as missing:
        pytest.skip(str(missing))
    try:
        yield made.start()
    finally:
        made.remove()
