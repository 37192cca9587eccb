"""The settings of `likes serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import NoDecode

from likes.config.kept_settings import KeptSettings
from likes.config.kinds import Keys, Networks, OptionalRate, Origins, RootPath


class HttpSettings(KeptSettings):
    """What is served, to whom, and how."""

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
