"""What became of an add, told to its caller: nothing if all was counted, else an error that accounts for every item."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from likes.errors import AddFailed, EntryRefused, LikesError, OutcomeUnknown
from likes.items import shorten
from likes.member import Member, named
from likes.posting.part import Part


class Sent(NamedTuple):
    """One entry: how much of which member, and where in which part it went out."""

    member: Member
    delta: int
    part: Part
    position: int


def all_counted(parts: Iterable[Part]) -> bool:
    """True if every entry of every part was counted."""
    return all(part.added and not part.added.refused for part in parts)


def entries_of(parts: Iterable[Part]) -> Iterator[Sent]:
    """Every entry of every part."""
    return (Sent(*entry, part, index) for part in parts for index, entry in enumerate(part.entries))


def raise_unless_counted(sent: Sequence[Sent]) -> None:
    """Raise the AddFailed that says which were accepted, refused and unknown; or else the error that stopped all."""
    if error := error_of(sent):
        raise error


def error_of(sent: Sequence[Sent]) -> LikesError | None:
    """The error that `raise_unless_counted` raises; None if all were counted."""
    accepted: dict[str, int] = {}
    refused: dict[str, str] = {}
    unknown: dict[str, int] = {}
    for member, delta, part, position in sent:
        _, item = named(member)
        if part.unknown:
            unknown[item] = delta
        elif part.added is None:
            refused[item] = str(part.error)
        elif position in part.added.refused:
            refused[item] = _reason(part.added.refused[position])
        else:
            accepted[item] = delta
    if not refused and not unknown:
        return None
    error = next((entry.part.error for entry in sent if not entry.part.added), None)
    if error and not accepted and not unknown and not any(entry.part.added for entry in sent):
        return error
    doubts = [entry.part.doubt for entry in sent if entry.part.unknown]
    doubt = OutcomeUnknown if not doubts or OutcomeUnknown in doubts else doubts[0]
    kind = doubt if unknown else AddFailed if error else EntryRefused
    words = _summary(accepted, refused, unknown, error, doubt.advice)
    failed = kind(words, accepted=accepted, refused=refused, unknown=unknown)
    failed.__cause__ = error
    return failed


def _summary(
    accepted: dict[str, int], refused: dict[str, str], unknown: dict[str, int], error: object, advice: str
) -> str:
    if unknown:
        doubt = f"whether {_some(list(unknown))} counted is unknown"
        return f"{doubt}: {error}; {advice}"
    others = f" ({len(accepted)} others were)" if accepted else ""
    return f"{_some(list(refused))} not counted: {next(iter(refused.values()))}{others}"


def _some(items: list[str]) -> str:
    first = repr(shorten(items[0]))
    return f"{first} was" if len(items) == 1 else f"{first} and {len(items) - 1} more were"


def _reason(error: str) -> str:
    if "overflow" in error:
        return "its pending delta would leave 64 bits; flush first"
    if "WRONGTYPE" in error:
        return "the key of its delta holds another type; delete that key"
    if "not an integer" in error:
        return "the key of its delta holds no whole number; a flush sets it aside"
    return error
