"""What came of the mutants, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.mutants.harmless import Harmless
from tests.mutants.mutant import Mutant


@dataclass(frozen=True)
class Report:
    """`tried`: how many mutants; `survivors`: those nobody noticed; `known`: the harmless ones of the files tried."""

    tried: int
    survivors: Sequence[Mutant]
    known: Sequence[Harmless]

    @property
    def is_good(self) -> bool:
        """True if every survivor is known to be harmless, and every one known is there and survives."""
        return not self._unknown and not self._outdated

    def lines(self) -> Iterator[str]:
        """A line for each survivor that is not known, then what is known and no longer true, then the numbers."""
        yield from map(str, self._unknown)
        for known in self._outdated:
            yield f"{known.path}: listed as harmless, but there is no such survivor: {known.old} -> {known.new}"
        killed, survived = self.tried - len(self.survivors), len(self.survivors)
        harmless = survived - len(self._unknown)
        yield f"{self.tried} mutants, {killed} killed, {survived} survived ({harmless} known to be harmless)"

    @property
    def _unknown(self) -> list[Mutant]:
        return [mutant for mutant in self.survivors if not any(known.is_about(mutant) for known in self.known)]

    @property
    def _outdated(self) -> list[Harmless]:
        return [known for known in self.known if not any(known.is_about(mutant) for mutant in self.survivors)]
