"""The settings of reading and of `likes serve`: the cache of totals, sessions, HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, NoDecode

from likes.config.arguments import MIN_SECONDS, YEAR_SECONDS
from likes.config.kinds import Keys, Networks, OptionalRate, Origins, RootPath, Seconds

UpToAYear = Annotated[
    float,
    Field(
        ge=MIN_SECONDS, le=YEAR_SECONDS, allow_inf_nan=False, description=f"{MIN_SECONDS:g} to {YEAR_SECONDS} seconds"
    ),
]


class HttpSettings(BaseSettings):
    """What is read and served, and how."""

    cache_ttl: Seconds = 3600.0
    cache_max_age: UpToAYear = 86_400.0
    cache_on_flush: Literal["through", "drop"] = Field(default="through", description="through or drop")
    early_refresh: Literal["per", "gap", "off"] = Field(default="per", description="per, gap or off")
    session_idle_seconds: UpToAYear = 1800.0
    session_max_seconds: UpToAYear = 7 * 86_400.0
    api_keys: Annotated[Keys, NoDecode] = ()
    public_keys: Annotated[Keys, NoDecode] = ()
    http_host: str = Field(default="127.0.0.1", min_length=1, max_length=255, description="a host name or an address")
    http_port: int = Field(
        default=8080, ge=0, le=65_535, description="whole numbers, 1 to 65535, or 0 for any free one"
    )
    http_unix_socket: Path | None = Field(default=None, description="the path of a socket")
    http_processes: int = Field(default=1, ge=1, le=256, description="whole numbers, 1 to 256")
    http_origins: Annotated[Origins, NoDecode] = ()
    http_trusted_proxies: Annotated[Networks, NoDecode] = ()
    http_root_path: RootPath = ""
    rate_limit: Annotated[OptionalRate, NoDecode] = None
    access_log: Literal["on", "off"] = Field(default="off", description="on or off")
    metrics_port: int = Field(default=0, ge=0, le=65_535, description="whole numbers, 1 to 65535, or 0 for none")
