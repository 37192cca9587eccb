"""What is mutated in Lua: every comparison, `and`, `or` and `not`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.mutants.mutant import Mutant

_SKIPPED = r"""--[^\n]*|'[^'\n]*'|"[^"\n]*\""""
_OPERATOR = re.compile(rf"{_SKIPPED}|(==|~=|<=|>=|<|>|\band\b|\bor\b|\bnot\s+)")

INSTEAD = {
    "==": ("~=",),
    "~=": ("==",),
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "and": ("or",),
    "or": ("and",),
    "not": ("",),
}


def mutants_of(path: str, source: str) -> Iterator[Mutant]:
    """The mutants of one Lua script."""
    for found in _OPERATOR.finditer(source):
        operator = found[1]
        if operator:  # neither a comment nor a string
            for other in INSTEAD[operator.strip()]:
                yield Mutant(path, source, found.start(), found.end(), other)
