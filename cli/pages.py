"""Help pages made fit: for the terminal they are shown on, and for who reads the page of one command alone."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import takewhile

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from cli.output import NARROW

LEAST = 20  # columns; whatever a terminal says, words are not broken into letters
ELSEWHERE = "Settings, such as --redis-url, go with every command: see likes --help."

Command = TyperCommand | TyperGroup


def is_asked_for(words: Sequence[str]) -> bool:
    """True if `words` ask for a page of help."""
    return not words or not {"--help", "-h"}.isdisjoint(takewhile(lambda word: word != "--", words))


def make_fit(root: TyperGroup, settings: Mapping[str, Collection[str]]) -> None:
    """Change the commands for their pages. `settings`: name of a command -> those that its page is to show."""
    columns = shutil.get_terminal_size().columns
    shown = {param.name: param for param in root.params}
    for name, command in _below("", root):
        if command is not root:
            command.params += [shown[setting] for setting in settings.get(name, ())]
            command.epilog = command.epilog or ELSEWHERE
        _show_no_type_of_flags(command)
        if columns < NARROW:
            _make_plain(command)
    if columns < NARROW:
        root.context_settings["terminal_width"] = max(columns - 1, LEAST)


def _below(name: str, command: Command) -> Iterator[tuple[str, Command]]:
    yield name, command
    if isinstance(command, TyperGroup):
        for below, each in command.commands.items():
            if isinstance(each, TyperCommand | TyperGroup):
                yield from _below(below, each)


def _show_no_type_of_flags(command: Command) -> None:
    own_help = command.get_help_option(typer.Context(command, help_option_names=["--help", "-h"]))
    for param in (*command.params, own_help):
        if isinstance(param, TyperOption) and param.is_flag:
            param.metavar = ""


def _make_plain(command: Command) -> None:
    """Without tables; examples stay a line each."""
    command.rich_markup_mode = None
    command.help, command.epilog = _with_examples_kept(command.help), _with_examples_kept(command.epilog)


def _with_examples_kept(text: str | None) -> str:
    paragraphs = (text or "").split("\n\n")
    return "\n\n".join(f"\b\n{part}" if part.startswith("$") else part for part in paragraphs)
