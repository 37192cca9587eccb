"""Who can reach an API that listens as the settings say, and whether that is meant; loads no web framework."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from likes.errors import SettingsError
from likes.items import shorten

if TYPE_CHECKING:
    from likes.config.settings import Settings


def is_loopback(name: str) -> bool:
    """True for a name or an address under which only this machine is reached."""
    name = name.removesuffix(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def check_exposure(settings: Settings) -> None:
    """Raise SettingsError where anybody could reach an API without keys, or keys or paths are not told apart."""
    if not settings.api_keys and settings.public_keys:
        raise SettingsError(
            "LIKES_PUBLIC_KEYS are set and LIKES_API_KEYS are not: set those, too, for all that is not public"
        )
    if {key.get_secret_value() for key in settings.api_keys} & {key.get_secret_value() for key in settings.public_keys}:
        raise SettingsError("LIKES_PUBLIC_KEYS has a key of LIKES_API_KEYS, which a browser must not know; take it off")
    if settings.http_root_path.split("/")[1:2] == ["v1"]:
        raise SettingsError("LIKES_HTTP_ROOT_PATH begins as the paths of the API do; allowed: any path not below /v1")
    if settings.api_keys or settings.http_unix_socket or is_loopback(settings.http_host):
        return
    raise SettingsError(
        f"LIKES_HTTP_HOST is {shorten(settings.http_host)!r}, which other machines can reach, and LIKES_API_KEYS is "
        "not set: set it, to `openssl rand -hex 24` for example, or listen on 127.0.0.1 or on a unix socket"
    )
