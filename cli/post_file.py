"""`likes post --file`: count every line of a file."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

import typer

from cli.chunks import Chunk, ranges
from cli.exits import Code, say
from cli.lines import BadLine, Format, read_lines
from cli.options import settings_of
from cli.output import as_json, line, number_of
from cli.posting import Account, Posting
from likes import LikeCounter
from likes.errors import InvalidInput, LikesError
from likes.items import check_counter


def post_file(context: typer.Context, path: str, format_: Format, counter: str, *, strict: bool, json: bool) -> None:
    """Post all lines of `path`, "-" for stdin, and show what became of them."""
    check_counter(counter)
    account = Account()
    with _open(path, again=strict) as file, LikeCounter.from_settings(settings_of(context)) as likes:
        if strict:
            _require_good_lines(file, format_, counter, account)
        posting = Posting(likes, account)
        try:
            with _progress(file, account) as advance:
                _post(file, format_, counter, posting, advance)
        except InvalidInput:
            raise
        except BaseException:
            _show(account, json=json)
            _tell_where_it_stopped(posting)
            raise
    _show(account, json=json)
    if account.rejected:
        raise typer.Exit(Code.PARTLY)


def _post(file: BinaryIO, format_: Format, counter: str, posting: Posting, advance: Callable[[], None]) -> None:
    chunk = Chunk()
    for read in read_lines(file, format_, counter):
        if isinstance(read, BadLine):
            posting.account.reject(read.number, read.reason)
            continue
        if not chunk.takes(read.item, read.counter, read.count):
            posting.post(chunk)
            advance()
            chunk = Chunk()
        chunk.put(read.number, read.item, read.counter, read.count)
    posting.post(chunk)
    advance()


def _require_good_lines(file: BinaryIO, format_: Format, counter: str, account: Account) -> None:
    for read in read_lines(file, format_, counter):
        if isinstance(read, BadLine):
            account.reject(read.number, read.reason)
    if account.rejected:
        _tell_rejected(account)
        raise LikesError(f"{number_of(account.rejected, 'bad line')}: nothing was posted, as --strict asks")
    file.seek(0)


@contextmanager
def _open(path: str, *, again: bool) -> Iterator[BinaryIO]:
    """The file, its bytes kept aside if it is to be read `again` and cannot be."""
    if path == "-" and sys.stdin is None:
        raise InvalidInput("stdin is closed; give --file a file, or something to read")
    try:
        file = sys.stdin.buffer if path == "-" else Path(path).open("rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise InvalidInput(f"file {path!r} cannot be read: {error.strerror}") from None
    with file:
        if file.seekable() or not again:
            yield file
            return
        with TemporaryFile() as kept:
            shutil.copyfileobj(file, kept)
            kept.seek(0)
            yield kept


@contextmanager
def _progress(file: BinaryIO, account: Account) -> Iterator[Callable[[], None]]:
    """A bar on a terminal; call what it gives after every chunk."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        size = os.fstat(file.fileno()).st_size if file.seekable() else None
        task = progress.add_task("posting", total=size)

        def advance() -> None:
            position = file.tell() if file.seekable() else 0
            progress.update(task, completed=position, description=number_of(account.accepted, "line"))

        yield advance


def _show(account: Account, *, json: bool) -> None:
    _tell_rejected(account)
    if json:
        result = {"accepted": account.accepted, "rejected": account.rejected, "items": len(account.items)}
        as_json({**result, "delta": account.delta, "unknown": len(account.unknown)})
    else:
        accepted, items = number_of(account.accepted, "line"), number_of(len(account.items), "item")
        line(f"{accepted} accepted ({items}, {account.delta:+,}), {account.rejected:,} rejected")


def _tell_rejected(account: Account) -> None:
    for number, reason in account.reasons:
        say(f"line {number}: {reason}")
    if more := account.rejected - len(account.reasons):
        say(f"and {number_of(more, 'more line')}")


def _tell_where_it_stopped(posting: Posting) -> None:
    if posting.account.unknown:
        say(f"Whether these were counted is unknown: lines {ranges(posting.account.unknown)}")
    before = f"lines {ranges(posting.left)}, and " if posting.left else ""
    say(f"Not counted: {before}all lines after {posting.last}")
