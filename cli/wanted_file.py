"""What the command line says of a file of likes."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from cli.formats import Extra, Format
from cli.options import COUNTER


@dataclass(frozen=True, slots=True)
class WantedFile:
    """Which file, and how it is read.

    path: "-" for stdin. counter: for lines that name none. extra: what is done about other fields.
    from_line: the first line that is posted. rejects: where lines that are not counted go.
    strict: post nothing if any line is bad.
    """

    path: str
    format: Format = Format.AUTO
    counter: str = COUNTER
    extra: Extra = Extra.REFUSE
    from_line: int = 1
    rejects: str | None = None
    strict: bool = False

    def command_for(self, path: str, format_: Format) -> str:
        """What posts lines of this file that were put into another."""
        words = ["likes", "post", "--file", path, "--format", format_]
        if self.counter != COUNTER:
            words += ["--counter", self.counter]
        if self.extra is not Extra.REFUSE:
            words += ["--extra", self.extra]
        return shlex.join(words)
