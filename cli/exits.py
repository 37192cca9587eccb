"""How a command ends: its exit code, and for what went wrong one line on stderr instead of a traceback."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

import typer

from likes.config.urls import mask
from likes.errors import AddFailed, InvalidInput, LikesError, Unavailable


class Code(IntEnum):
    """What the shell is told."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PARTLY = 3
    AWAY = 5
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    TERMINATED = 143


_URL = re.compile(r"\w[\w+.-]*://.*")  # to the end of the line: a password may have spaces in it


def run(command: Callable[[], object], *, verbose: bool) -> int:
    """Call `command`; its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _open_what_is_closed()
    _make_fit(sys.stdout, sys.stderr)
    sys.unraisablehook = _end_all_the_same
    try:
        code = command()
        sys.stdout.flush()
    except typer.TyperException as error:
        return _usage(error)
    except typer.Abort:
        return Code.FAILED
    except KeyboardInterrupt:
        return Code.INTERRUPTED
    except (BrokenPipeError, SystemExit) as end:
        # In a page of help Rich turns the one into the other.
        if BrokenPipeError not in (type(end), type(end.__context__)):
            raise
        discard_output()
        return Code.PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 (nobody should have to read a traceback)
        if verbose:
            say(traceback.format_exc().rstrip())
        return _failure(error)
    return code if isinstance(code, int) else Code.DONE


def _open_what_is_closed() -> None:
    """`likes … >&-` leaves no stdout at all: what is written goes nowhere then."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 (until the process ends)
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115


def _make_fit(*streams: object) -> None:
    """What a terminal or a file cannot show is written as an escape, `\\u2603`, instead of ending the command."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _end_all_the_same(thrown: sys.UnraisableHookArgs) -> None:
    """A signal that comes while a library cannot pass its exception on would be told as a mishap, and forgotten."""
    if isinstance(thrown.exc_value, KeyboardInterrupt | SystemExit):
        os._exit(Code.INTERRUPTED if isinstance(thrown.exc_value, KeyboardInterrupt) else Code.TERMINATED)
    sys.__unraisablehook__(thrown)


def say(message: str) -> None:
    """Write to stderr, without the passwords of URLs; whoever reads it may have gone."""
    with suppress(OSError):
        sys.stderr.write(_URL.sub(lambda url: mask(url[0]), message) + "\n")
        sys.stderr.flush()


def discard_output() -> None:
    """Let what is still in the buffer of stdout go nowhere: nobody reads it any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminate(_signal: int, _frame: object) -> NoReturn:
    sys.exit(Code.TERMINATED)


def _usage(error: typer.TyperException) -> int:
    message = error.format_message()
    if message.startswith("Usage: "):  # nothing was asked, so that it is a page of help
        sys.stdout.write(f"{message}\n")
    elif message:
        context = getattr(error, "ctx", None)
        hint = f"; see {context.command_path} --help" if context else ""
        if message.startswith("No such option"):
            hint += "; an item that begins with - comes after --"
        say(f"Error: {message.rstrip('.')}{hint}")
    return error.exit_code


def _failure(error: Exception) -> Code:
    if isinstance(error, InvalidInput):
        say(f"Error: {error}")
    elif isinstance(error, LikesError):
        say(f"Error: {_line(error)}")
    else:
        say(f"Error: {type(error).__name__}: {_line(error)} (unexpected; run with -v for the traceback)")
    return code_of(error)


def code_of(error: Exception) -> Code:
    """The exit code of a command that fails with `error`."""
    if isinstance(error, InvalidInput):
        return Code.USAGE
    return Code.AWAY if isinstance(error, LikesError) and _is_away(error) else Code.FAILED


def _is_away(error: LikesError) -> bool:
    """A server cannot be reached, and to try again later is safe: where the outcome is unknown, it is not."""
    cause = error.__cause__ if isinstance(error, AddFailed) and not error.unknown else error
    return isinstance(cause, Unavailable)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
