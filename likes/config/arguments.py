"""The arguments of a counter, checked: InvalidInput names the wrong one, shows it and says what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from likes.config.folder import absolute
from likes.config.urls import mask
from likes.errors import InvalidInput
from likes.items import MAX_SHARDS, NAMESPACE, shorten

MIN_SECONDS, MAX_SECONDS = 0.001, 86_400
YEAR_SECONDS = 365 * 86_400


def check_prefix(prefix: object) -> str:
    """Return `prefix` if Redis keys may begin with it."""
    if not isinstance(prefix, str) or not re.fullmatch(NAMESPACE, prefix):
        raise _refused("prefix", prefix, "1 to 64 of A-Z a-z 0-9 _ . : -")
    return prefix


def check_shards(shards: object) -> int:
    """Return `shards` if it is a number of shards, 1 to 1024."""
    if type(shards) is not int or not 1 <= shards <= MAX_SHARDS:
        raise _refused("shards", shards, f"whole numbers, 1 to {MAX_SHARDS}")
    return shards


def check_seconds(name: str, seconds: object, most: int = MAX_SECONDS) -> float:
    """Return the time called `name`, if it is 0.001 to `most` seconds."""
    if isinstance(seconds, int | float) and type(seconds) is not bool and MIN_SECONDS <= seconds <= most:
        return float(seconds)
    raise _refused(name, seconds, f"{MIN_SECONDS:g} to {most} seconds")


def check_word(name: str, word: object, *allowed: str) -> None:
    """Refuse an argument that is not one of the words `allowed`."""
    if word not in allowed:
        raise _refused(name, word, f"{', '.join(allowed[:-1])} or {allowed[-1]}")


def check_url(name: str, url: object, check: Callable[[str], str]) -> str | None:
    """Return the URL called `name` if it passes `check`; None, which is no URL, always does."""
    if url is None:
        return None
    if not isinstance(url, str):  # not shown: it may hold a password all the same
        raise InvalidInput(f"{name} is of type {type(url).__name__}; allowed: a URL as text")
    try:
        return check(url)
    except ValueError as error:
        raise InvalidInput(f"{name} is {mask(url)!r}; {error}") from None


def check_folder(folder: Any) -> Path | None:
    """Return the absolute path of the data folder; None, which stands for the default, stays None."""
    if folder is None:
        return None
    try:
        path = Path(folder)
        str(path).encode()
    except (TypeError, ValueError):
        path = None
    if path is None or not str(folder):
        raise _refused("data_dir", folder, "the path of a folder, in UTF-8")
    return absolute(path)


def check_one_of(name: str, value: object, other_name: str, other: object) -> None:
    """Refuse both of two arguments that answer one question."""
    if value is not None and other is not None:
        raise InvalidInput(f"{name} and {other_name} are both given; give one of them")


def _refused(name: str, value: object, allowed: str) -> InvalidInput:
    return InvalidInput(f"{name} is {_shown(value)}; allowed: {allowed}")


def _shown(value: object) -> str:
    try:
        return shorten(mask(repr(value)), 80)
    except ValueError:  # Python refuses to write out the longest numbers
        return f"too long to show ({type(value).__name__})"
