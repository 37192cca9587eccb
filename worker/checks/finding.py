"""What a check found, and what to do about it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How bad it is. Only an error makes the check fail."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Finding(NamedTuple):
    """`found` says how it is, `fix` what to do, "" for nothing."""

    level: Level
    name: str
    found: str
    fix: str = ""
