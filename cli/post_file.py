"""`likes post --file`: count every line of a file."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryFile
from typing import cast

import typer

from cli.chunks import chunks_of
from cli.exits import Code
from cli.first_bytes import as_text, called
from cli.lines import BadLine, Lines
from cli.output import number_of
from cli.posting import Account, Posting
from cli.posting_shown import progress, show, tell_rejected
from cli.rejects import Rejects
from cli.stopping import Interrupted, Stopping
from cli.wanted_file import WantedFile
from likes.config.settings import Settings
from likes.counter import LikeCounter
from likes.errors import InvalidInput, LikesError
from likes.items import check_counter


def post_file(settings: Settings, wanted: WantedFile, *, json: bool) -> None:
    """Post all its lines from `wanted.from_line` on, and show what became of them."""
    check_counter(wanted.counter)
    with Stopping() as stopping, Rejects(wanted.rejects) as rejects, LikeCounter.from_settings(settings) as likes:
        posting = Posting(likes, Account(), rejects, stopping, wanted.from_line)
        try:
            _post(wanted, posting, stopping)
        except (InvalidInput, BadLinesError):
            raise  # nothing was posted
        except BaseException as error:
            show(posting, wanted, done=False, json=json)
            if isinstance(error, Interrupted):
                raise typer.Exit(stopping.code) from None
            raise
        show(posting, wanted, done=True, json=json)
    if posting.account.rejected:
        raise typer.Exit(Code.PARTLY)


class BadLinesError(LikesError):
    """There are bad lines in a file that was to have none."""


def _post(wanted: WantedFile, posting: Posting, stopping: Stopping) -> None:
    with ExitStack() as opened:
        with stopping.reading():
            raw = opened.enter_context(_open(wanted.path, again=wanted.strict))
            file = as_text(raw, wanted.path)
            if wanted.strict:
                _require_good_lines(Lines(file, wanted))
                file.seek(0)
        advance = opened.enter_context(progress(raw, posting.account))
        chunks = chunks_of(Lines(file, wanted, posting.rejects))
        while True:
            with stopping.reading():
                chunk = next(chunks, None)
            if chunk is None:
                return
            posting.post(chunk)
            advance()


def _require_good_lines(lines: Lines) -> None:
    account = Account()
    for read in lines:
        if isinstance(read, BadLine):
            account.reject(read.number, read.reason)
    if account.rejected:
        tell_rejected(account)
        raise BadLinesError(f"{number_of(account.rejected, 'bad line')}: nothing was posted, as --strict asks")


@contextmanager
def _open(path: str, *, again: bool) -> Iterator[BufferedReader]:
    """The file, its bytes kept aside if it is to be read `again` and cannot be."""
    if path == "-" and sys.stdin is None:
        raise InvalidInput("stdin is closed; give --file a file, or something to read")
    try:
        file = Path(path).open("rb") if path != "-" else open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115
    except OSError as error:
        raise InvalidInput(f"{called(path)} cannot be read: {error.strerror}") from None
    with file:
        if file.seekable() or not again:
            yield file
            return
        with TemporaryFile() as kept:
            shutil.copyfileobj(file, kept)
            kept.seek(0)
            yield cast("BufferedReader", kept)
