"""The settings of what Redis keeps beside likes: cached totals, and sessions. Of a worker, too, and of a counter."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from likes.config.kinds import Seconds, UpToAYear


class KeptSettings(BaseSettings):
    """For how long, and what becomes of it when a flush or the end of its time comes."""

    cache_ttl: Seconds = 3600.0
    cache_max_age: UpToAYear = 86_400.0
    cache_on_flush: Literal["through", "drop"] = Field(default="through", description="through or drop")
    early_refresh: Literal["per", "gap", "off"] = Field(default="per", description="per, gap or off")
    session_idle_seconds: UpToAYear = 1800.0
    session_max_seconds: UpToAYear = 7 * 86_400.0
