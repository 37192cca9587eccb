"""Every setting, its default and what is allowed: a flag wins over `LIKES_*` in the environment, that over `.env`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsConfigDict

from likes.config.folder import default_folder
from likes.config.http_settings import HttpSettings
from likes.config.kinds import CommandLine, Folder, HookUrl, Rate, Seconds
from likes.config.urls import check_database_url, check_redis_url, mask, origin_of
from likes.errors import SettingsError
from likes.items import MAX_SHARDS, NAMESPACE, shorten

ENV_PREFIX = "LIKES_"
ENV_FILE = Path(".env")


def _check_redis_url(url: SecretStr) -> SecretStr:
    check_redis_url(url.get_secret_value())
    return url


def _check_database_url(url: SecretStr) -> SecretStr:
    check_database_url(url.get_secret_value())
    return url


class Settings(HttpSettings):
    """What one process runs with. `redis_url` is read from the variable LIKES_REDIS_URL, and so on.

    Times are in seconds, `ledger_retention_days` in days. The description of a field says what is allowed, where its
    check does not.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    redis_url: Annotated[SecretStr, AfterValidator(_check_redis_url)] | None = None
    redis_name: str | None = Field(
        default=None, pattern=r"^[^\x00-\x1f\x7f]{1,255}$", description="1 to 255 characters"
    )
    database_url: Annotated[SecretStr, AfterValidator(_check_database_url)] | None = None
    data_dir: Folder = Field(default_factory=default_folder, description="the path of a folder, in UTF-8")
    prefix: str = Field(default="likes", pattern=f"^{NAMESPACE}$", description="1 to 64 of A-Z a-z 0-9 _ . : -")
    shards: int = Field(default=16, ge=1, le=MAX_SHARDS, description="whole numbers, 1 to 1024")
    interval: Seconds = 300.0
    flush_at_items: int = Field(
        default=100_000, ge=0, le=10**9, description="whole numbers, 1 to 1000000000, or 0 for never"
    )
    # Lua's unpack, which hands the members to Redis, ends near 8,000.
    batch_items: int = Field(default=250, ge=1, le=5000, description="whole numbers, 1 to 5000")
    flush_threads: int = Field(default=2, ge=1, le=32, description="whole numbers, 1 to 32")
    durability: str = Field(
        default="none", pattern=r"^(none|aof|replicas:[1-9]\d?)$", description="none, aof or replicas:N (1 to 99)"
    )
    lease_seconds: Seconds = 30.0
    redis_timeout: Seconds = 5.0
    database_timeout: Seconds = 10.0
    ledger_retention_days: float = Field(
        default=30.0, ge=1, le=36_500, allow_inf_nan=False, description="1 to 36500 days"
    )
    notify_command: CommandLine | None = None
    notify_url: HookUrl | None = None
    log_format: Literal["text", "json"] = Field(default="text", description="text or json")

    @classmethod
    def load(cls, **flags: Any) -> Self:
        """The settings from flags, the environment, `.env` and defaults, in this order; a flag of None was not given.

        Raises SettingsError, with a line for each value that is not allowed.
        """
        if unknown := flags.keys() - cls.model_fields:
            raise SettingsError(f"no such setting: {', '.join(sorted(unknown))}")
        try:
            _require_whole_lines()
            return cls(**{name: value for name, value in flags.items() if value is not None})
        except ValidationError as error:
            wrong = {report["loc"][0]: report for report in error.errors(include_url=False)}
            lines = [_complaint(name, wrong[name]) for name in cls.model_fields if name in wrong]
            raise SettingsError("\n".join(lines)) from None
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{ENV_FILE.absolute()} cannot be read: {error}") from None

    def shown(self) -> dict[str, str]:
        """Variable -> value, passwords masked; a setting that was not given and has no default is left out."""
        values = {variable(name): getattr(self, name) for name in type(self).model_fields}
        return {name: _shown(value) for name, value in values.items() if value not in (None, ())}


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return ENV_PREFIX + name.upper()


def _require_whole_lines() -> None:
    """Raise SettingsError for a line of `.env` that begins like a setting and says nothing: it would be passed over."""
    if not Path(ENV_FILE).is_file():
        return
    with Path(ENV_FILE).open(encoding="utf-8") as file:
        for binding in parse_stream(file):
            said = binding.original.string.removeprefix("export ").split()
            if said and said[0].upper().startswith(ENV_PREFIX) and (binding.error or binding.value is None):
                where = f"{Path(ENV_FILE).absolute()}, line {binding.original.line}"
                raise SettingsError(f"{where}: {shorten(said[0])} has no value; write {shorten(said[0])}=VALUE")


def unknown_variables() -> list[str]:
    """Names in the environment or `.env` that begin like a setting and are none: typing errors, most likely."""
    known = {variable(name) for name in Settings.model_fields}
    given = {*os.environ, *dotenv_values(ENV_FILE, encoding="utf-8")}
    return sorted(name for name in given if name.upper().startswith(ENV_PREFIX) and name.upper() not in known)


def _complaint(name: str, report: ErrorDetails) -> str:
    reason = report.get("ctx", {}).get("error")
    allowed = str(reason) if type(reason) is ValueError else f"allowed: {Settings.model_fields[name].description}"
    if name.endswith("_keys"):
        return f"{variable(name)} has a key that cannot be one; {allowed}"
    if name == "notify_url":  # what it is called by is what it is called with, at many a service
        return f"{variable(name)} has a URL that cannot be one; {allowed}"
    return f"{variable(name)} is {shorten(_shown(report['input']), 80)!r}; {allowed}"


def _shown(value: object) -> str:
    if isinstance(value, tuple) and not isinstance(value, Rate):
        are_keys = any(isinstance(each, SecretStr) for each in value)
        return f"{len(value)} of them" if are_keys else ", ".join(map(str, value))
    if not isinstance(value, SecretStr):
        return mask(str(value))
    url = value.get_secret_value()
    return origin_of(url) if url.startswith("http") else mask(url)
