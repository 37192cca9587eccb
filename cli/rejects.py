"""The lines of a file that were not counted, kept as they were, to be posted again."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import Self

from cli.chunks import ranges
from cli.formats import Format
from cli.lines import BadLine, Line
from likes.errors import InvalidInput, LikesError


class Rejects:
    """Writes beside `path` what `publish` moves there whole; without a path it keeps nothing.

    kept: how many lines. published: where they are, "" before. format: how they are written, which `begin` is told.
    Raises InvalidInput for a path where nothing can be written, or where lines stand already.
    """

    def __init__(self, path: str | None) -> None:
        self.kept = 0
        self.published = ""
        self.format = Format.AUTO
        self._header = b""
        self._path = Path(path) if path is not None else None
        self._settled = 0
        self._file = _open_beside(self._path) if self._path else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file and not self._file.closed:
            self._file.close()
            Path(self._file.name).unlink()

    def begin(self, format_: Format, header: bytes) -> None:
        """How the lines are written; `header`, which CSV has, comes before the first one."""
        self.format = format_
        self._header = header

    def spill(self, piece: bytes) -> None:
        """Write a piece of a line too long for memory, which the next `settle` keeps."""
        try:
            self._write(piece)
        except OSError as error:
            raise self._failure(error) from None

    def settle(self, lines: Iterable[Line | BadLine]) -> None:
        """Keep `lines` and what was spilled for them. Raises LikesError, which names them, where that fails."""
        if not (lines := list(lines)) or not self._file:
            return
        try:
            self._write(b"".join(line.raw if line.raw[-1:] in (b"\n", b"") else line.raw + b"\n" for line in lines))
        except OSError as error:
            self.drop()
            raise self._failure(
                error, f"; not counted, and not kept: lines {ranges(line.number for line in lines)}"
            ) from None
        self._settled = self._file.tell()
        self.kept += len(lines)

    def drop(self) -> None:
        """Forget what was spilled and not settled."""
        if self._file:
            self._file.seek(self._settled)
            self._file.truncate()

    def publish(self) -> None:
        """Put the file where it was asked for, if there is a line in it."""
        if not self._file or not self._path or not self.kept:
            return
        try:
            self.drop()
            os.fsync(self._file.fileno())
            self._file.close()
            Path(self._file.name).replace(self._path)
            self.published = str(self._path)
        except OSError as error:
            self._file.close()
            raise self._failure(error, f"; the lines are in {self._file.name}") from None

    def _write(self, data: bytes) -> None:
        if not self._file:
            return
        left = memoryview(data if self._file.tell() else self._header + data)
        while left:
            left = left[self._file.write(left) :]

    def _failure(self, error: OSError, more: str = "") -> LikesError:
        return LikesError(f"{str(self._path)!r} cannot be written: {error.strerror}{more}")


def _open_beside(path: Path) -> FileIO:
    if path.exists() and (not path.is_file() or path.stat().st_size):
        what = "there are lines in it already" if path.is_file() else "that is no ordinary file"
        raise InvalidInput(f"--rejects {str(path)!r}: {what}; name a new file")
    try:
        return FileIO(path.with_name(f"{path.name}.{secrets.token_hex(4)}.part"), "x")
    except OSError as error:
        raise InvalidInput(f"--rejects {str(path)!r} cannot be written: {error.strerror}") from None
