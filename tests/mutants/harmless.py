"""Mutants that no test can notice, or that make no difference to anybody, each with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.mutants.mutant import Mutant


@dataclass(frozen=True)
class Harmless:
    """The mutants of `path` that make `new` of the line `old`, as the report shows them, and why that is all right."""

    path: str
    old: str
    new: str
    why: str

    def is_about(self, mutant: Mutant) -> bool:
        """True if it means this mutant."""
        return (self.path, self.old, self.new) == (mutant.path, mutant.old, mutant.new)


HARMLESS: Sequence[Harmless] = ()
