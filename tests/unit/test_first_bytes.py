"""What a file is by its first bytes: gzip is unpacked, another encoding or archive is named with what converts it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile

import pytest

from cli.first_bytes import as_text
from likes.errors import InvalidInput

TEXT = '{"item":"video:42"}\n{"item":"👍"}\n'.encode()


def opened(content: bytes, *, seekable: bool) -> io.BufferedReader:
    if seekable:
        return io.BufferedReader(io.BytesIO(content))
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "wb") as sink:
        sink.write(content)
    return os.fdopen(read_end, "rb")


def text_of(content: bytes, *, seekable: bool) -> bytes:
    with opened(content, seekable=seekable) as file:
        return as_text(file, "-").read()


@pytest.mark.parametrize("seekable", [True, False])
@pytest.mark.parametrize("content", [b"", b"a", TEXT, "上海\n".encode(), b"a\0b\nc\n", TEXT * 500])
def test_text_is_read_as_it_stands_plain_or_compressed(content: bytes, *, seekable: bool) -> None:
    assert text_of(content, seekable=seekable) == content
    assert text_of(gzip.compress(content), seekable=seekable) == content


def test_several_parts_of_gzip_are_one_file() -> None:
    assert text_of(gzip.compress(TEXT) + gzip.compress(TEXT), seekable=False) == 2 * TEXT


def zipped() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("likes.ndjson", TEXT)
    return archive.getvalue()


@pytest.mark.parametrize("seekable", [True, False])
@pytest.mark.parametrize(
    ("content", "what", "program"),
    [
        (TEXT.decode().encode("utf-16"), "UTF-16", "iconv -f UTF-16 "),
        (b"\xfe\xff" + TEXT.decode().encode("utf-16-be"), "UTF-16", "iconv -f UTF-16 "),
        (TEXT.decode().encode("utf-16-le"), "UTF-16", "iconv -f UTF-16LE "),
        (TEXT.decode().encode("utf-16-be"), "UTF-16", "iconv -f UTF-16BE "),
        ("视频:42\r\n上海:7\r\n".encode("utf-16-le"), "UTF-16", "iconv -f UTF-16LE "),
        (TEXT.decode().encode("utf-32"), "UTF-32", "iconv -f UTF-32 "),
        (bz2.compress(TEXT), "compressed with bzip2", "bzcat"),
        (lzma.compress(TEXT), "compressed with xz", "xzcat"),
        (b"\x28\xb5\x2f\xfd\x24\x01\x09\x00\x00a\n", "compressed with zstd", "zstdcat"),
        (zipped(), "a ZIP archive", "unzip -p"),
        (gzip.compress(TEXT.decode().encode("utf-16")), "UTF-16", "zcat | iconv -f UTF-16 "),
        (gzip.compress(gzip.compress(TEXT)), "gzip twice", "zcat | zcat"),
    ],
    ids=["LE", "BE", "LE unmarked", "BE unmarked", "Chinese", "UTF-32", "bz2", "xz", "zstd", "zip", "in gzip", "twice"],
)
def test_anything_else_is_named_with_what_converts_it(
    content: bytes, what: str, program: str, *, seekable: bool
) -> None:
    with pytest.raises(InvalidInput, match=what) as refused:
        text_of(content, seekable=seekable)
    assert f"… | {program}" in str(refused.value)
    assert str(refused.value).endswith(" | likes post --file -")


def test_what_begins_as_gzip_does_and_is_none() -> None:
    with pytest.raises(InvalidInput, match="cannot be unpacked"):
        text_of(b"\x1f\x8bnonsense", seekable=True)


def test_the_way_out_names_the_file() -> None:
    with opened(bz2.compress(TEXT), seekable=True) as file, pytest.raises(InvalidInput) as refused:
        as_text(file, "my likes.bz2")
    assert str(refused.value).endswith("convert it: bzcat 'my likes.bz2' | likes post --file -")
