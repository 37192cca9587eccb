"""Arguments as people write them: settings also after the command they are for, counts as whole numbers."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import takewhile

from likes.errors import InvalidInput
from likes.items import check_count, shorten

VERBOSE = {"-v", "--verbose"}


def wants_more(words: Sequence[str]) -> bool:
    """True if -v is among `words`."""
    return not VERBOSE.isdisjoint(takewhile(lambda word: word != "--", words))


def settings_first(words: Sequence[str], flags: Collection[str]) -> list[str]:
    """`words` with -v and the `flags` of settings in front, where the parser wants them; what follows `--` stays.

    Raises InvalidInput for a flag without a value.
    """
    front = ["-v"] if wants_more(words) else []
    others: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":
            others += [word, *left]
        elif word in flags:
            value = next(left, None)
            if value is None:
                raise InvalidInput(f"{word} needs a value")
            front += [word, value]
        elif word.partition("=")[0] in flags:
            front.append(word)
        elif word not in VERBOSE:
            others.append(word)
    return front + _by_options(others)


def _by_options(words: list[str]) -> list[str]:
    """`help [COMMAND]` and `version` as the options that are meant; other words as they are."""
    match words:
        case ["help", *command]:
            return [*command, "--help"]
        case ["version"]:
            return ["--version"]
        case _:
            return words


def parse_count(text: str) -> int:
    """The whole number written as `text`, within ±2^31; raises InvalidInput."""
    if not re.fullmatch(r"[+-]?[0-9]{1,20}", text):
        raise InvalidInput(f"count {shorten(text)!a} is not a whole number")
    return check_count(int(text))
