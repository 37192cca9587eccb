"""A file to mutate, and the tests that have to notice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutants import in_lua, in_python
from tests.mutants.mutant import Mutant


@dataclass(frozen=True)
class Target:
    """`pattern`: a path from the root of the project, or a glob; `tests`: files of tests, the cheapest first."""

    pattern: str
    tests: Sequence[str]

    def paths(self, root: Path) -> list[str]:
        """The files it means; LookupError if there is none, or if one of its tests is not there."""
        found = sorted(str(path.relative_to(root)) for path in root.glob(self.pattern) if path.is_file())
        if not found:
            raise LookupError(f"the target {self.pattern} matches no file")
        missing = [test for test in self.tests if not (root / test).exists()]
        if missing:
            raise LookupError(f"tests of the target {self.pattern} are not there: {', '.join(missing)}")
        return found

    def mutants(self, root: Path, chosen: Sequence[str] = ()) -> Iterator[Mutant]:
        """The mutants of its files, if one of `chosen` is part of their path; all if nothing is chosen."""
        for path in self.paths(root):
            if not chosen or any(word in path for word in chosen):
                mutants_of = in_lua.mutants_of if path.endswith(".lua") else in_python.mutants_of
                yield from mutants_of(path, (root / path).read_text(encoding="utf-8"))
