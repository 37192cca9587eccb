"""How far posting a file is, what became of its lines, and what to do about those that were not counted."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader

from cli.chunks import ranges
from cli.exits import say
from cli.output import as_json, line, number_of
from cli.posting import Account, Posting
from cli.wanted_file import WantedFile


@contextmanager
def progress(file: BufferedReader, account: Account) -> Iterator[Callable[[], None]]:
    """A bar on a terminal; call what it gives after every chunk."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        size = os.fstat(file.fileno()).st_size if file.seekable() else None
        task = bar.add_task("posting", total=size)

        def advance() -> None:
            position = file.tell() if file.seekable() else 0
            bar.update(task, completed=position, description=number_of(account.accepted, "line"))

        yield advance


def show(posting: Posting, wanted: WantedFile, *, done: bool, json: bool) -> None:
    """The result on stdout, what was not counted on stderr. `done`: the file was read to its end."""
    try:
        posting.rejects.publish()
    finally:
        tell_rejected(posting.account)
        _tell_not_counted(posting, wanted, done=done)
        _show_counted(posting, done=done, json=json)


def _tell_not_counted(posting: Posting, wanted: WantedFile, *, done: bool) -> None:
    rejects = posting.rejects
    if posting.account.unknown:
        say(f"Whether these were counted is unknown: lines {ranges(posting.account.unknown)}")
    if rejects.published:
        again = wanted.command_for(rejects.published, rejects.format)
        say(f"{number_of(rejects.kept, 'line')} not counted: kept in {rejects.published}; when mended: {again}")
    elif posting.left:
        say(f"Not counted: lines {ranges(posting.left)}")
    if not done:
        say(f"Not counted: line {posting.next_line} and all after it; to go on, add --from-line {posting.next_line}")


def _show_counted(posting: Posting, *, done: bool, json: bool) -> None:
    account = posting.account
    if json:
        counted = {"accepted": account.accepted, "rejected": account.rejected, "items": len(account.items)}
        rest = {"delta": account.delta, "unknown": len(account.unknown)}
        as_json({**counted, **rest, "from_line": None if done else posting.next_line})
    else:
        accepted, items = number_of(account.accepted, "line"), number_of(len(account.items), "item")
        line(f"{accepted} accepted ({items}, {account.delta:+,}), {account.rejected:,} rejected")


def tell_rejected(account: Account) -> None:
    """Why lines were rejected; the first ones by name."""
    for number, reason in account.reasons:
        say(f"line {number}: {reason}")
    if more := account.rejected - len(account.reasons):
        say(f"and {number_of(more, 'more line')}")
