"""Kinds of settings: what a value may be, and how it is read from text."""

from __future__ import annotations

import ipaddress
import re
import shlex
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from likes.config.arguments import MAX_SECONDS, MIN_SECONDS, YEAR_SECONDS
from likes.config.folder import absolute

Seconds = Annotated[
    float,
    Field(
        ge=MIN_SECONDS, le=MAX_SECONDS, allow_inf_nan=False, description=f"{MIN_SECONDS:g} to {MAX_SECONDS:g} seconds"
    ),
]
UpToAYear = Annotated[
    float,
    Field(
        ge=MIN_SECONDS, le=YEAR_SECONDS, allow_inf_nan=False, description=f"{MIN_SECONDS:g} to {YEAR_SECONDS} seconds"
    ),
]

LEAST_KEY = 16  # characters; a shorter key can be guessed


class Rate(NamedTuple):
    """So many requests in so many seconds."""

    requests: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.requests}/{self.seconds:g}s"


def _read_rate(value: object) -> object:
    if not isinstance(value, str):
        return value
    written = re.fullmatch(r"(\d{1,9})/(\d{1,6}(?:\.\d{1,3})?)?([smh])", value)
    if not written:
        raise ValueError("allowed: requests/time, such as 100/10s, 1000/m or 5/0.5s")
    rate = Rate(int(written[1]), float(written[2] or 1) * {"s": 1, "m": 60, "h": 3600}[written[3]])
    if not rate.requests or not rate.seconds:
        raise ValueError("allowed: at least one request, and a time above 0")
    return rate


def _listed(value: object) -> object:
    return [word for word in re.split(r"[,\s]+", value) if word] if isinstance(value, str) else value


def _check_key(key: SecretStr) -> SecretStr:
    if not re.fullmatch(rf"[\x21-\x7e]{{{LEAST_KEY},256}}", key.get_secret_value()):
        raise ValueError(f"allowed: keys of {LEAST_KEY} to 256 printable characters of ASCII, parted by commas")
    return key


def _check_origin(origin: str) -> str:
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("allowed: origins such as https://example.org or http://localhost:3000, parted by commas")
    return origin


def _check_network(network: str) -> str:
    try:
        return str(ipaddress.ip_network(network, strict=False))
    except ValueError:
        raise ValueError("allowed: addresses or networks such as 10.0.0.0/8, parted by commas") from None


def _check_root_path(path: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9_.~-]+)*", path):
        raise ValueError("allowed: a path such as /likes, without a / at its end")
    return path


def _check_command(words: str) -> str:
    try:
        if shlex.split(words):
            return words
    except ValueError:
        pass
    raise ValueError("allowed: a program and its arguments, quoted as in a shell, which does not see them")


def _check_hook(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(url.get_secret_value())
        if parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0):
            return url
    except ValueError:
        pass
    raise ValueError("allowed: http:// or https:// URLs")


def _check_folder(path: Path) -> Path:
    str(path).encode()  # a socket in it has a URL, which could not be written otherwise
    return absolute(path)


Folder = Annotated[Path, AfterValidator(_check_folder)]
OptionalRate = Annotated[Rate | None, BeforeValidator(_read_rate)]
Keys = Annotated[tuple[Annotated[SecretStr, AfterValidator(_check_key)], ...], BeforeValidator(_listed)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_check_origin)], ...], BeforeValidator(_listed)]
Networks = Annotated[tuple[Annotated[str, AfterValidator(_check_network)], ...], BeforeValidator(_listed)]
CommandLine = Annotated[str, AfterValidator(_check_command)]
HookUrl = Annotated[SecretStr, AfterValidator(_check_hook)]
RootPath = Annotated[str, AfterValidator(_check_root_path)]
