"""What commands have in common: the settings given as flags, and the options that several of them take."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import cleandoc
from typing import TYPE_CHECKING, Annotated

import typer

from likes.items import DEFAULT_COUNTER

if TYPE_CHECKING:
    from likes.config.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Counter = Annotated[str, typer.Option("--counter", "-c", metavar="NAME", help="Which count of the item.")]
COUNTER = DEFAULT_COUNTER
LONGEST = 10**9  # rows of one listing; every database takes that number


@dataclass(frozen=True, slots=True)
class Given:
    """What stands on the command line for every command alike."""

    flags: Mapping[str, str | None]
    verbose: bool


def settings_of(context: typer.Context) -> Settings:
    """The settings of this run: flags, environment, `.env`, defaults. Raises SettingsError."""
    from likes.config.settings import Settings

    silence_libraries(context)
    return Settings.load(**_given(context).flags)


def silence_libraries(context: typer.Context) -> None:
    """Let nothing that libraries log be seen, unless more is to be shown: the errors they raise say it again."""
    import logging

    if not is_verbose(context):
        logging.getLogger().addHandler(logging.NullHandler())


def asked_for(context: typer.Context, setting: str) -> str | None:
    """What a flag or the environment says of a setting, be it allowed or not: for when the settings cannot be had."""
    return _given(context).flags.get(setting) or os.environ.get(f"LIKES_{setting.upper()}")


def flags_of(context: typer.Context) -> list[str]:
    """The settings given as flags, and -v, as they are typed: for another process of `likes`."""
    from cli.settings import TYPED

    given = _given(context)
    flags = [f"{TYPED[name]}={value}" for name, value in given.flags.items() if value is not None]
    return [*flags, *(["-v"] if given.verbose else [])]


def is_verbose(context: typer.Context) -> bool:
    """True if more is to be shown."""
    return _given(context).verbose


def _given(context: typer.Context) -> Given:
    return context.find_object(Given) or Given({}, verbose=False)


def prose(text: str | None) -> str:
    """A docstring for a help page: a line for each paragraph, broken where the terminal ends; examples line by line."""
    paragraphs = cleandoc(text or "").split("\n\n")
    return "\n\n".join(part if part.startswith(("$", " ")) else " ".join(part.split()) for part in paragraphs)
