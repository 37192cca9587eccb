"""Reading a sealed batch, with what is no delta set apart."""

from __future__ import annotations

from collections.abc import Sequence

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likes.batch import Batch, BatchId, LaterFormat
from likes.deltas import MAX_DELTA, MIN_DELTA, Delta
from likes.items import check_item

NONCE = "n" * 32


def sealed(entries: Sequence[tuple[bytes, bytes]], odd: Sequence[tuple[int, bytes]] = (), version: int = 1) -> bytes:
    """A payload as the hand-off writes it."""
    members, texts = [m for m, _ in entries], [t for _, t in entries]
    return msgpack.packb([version, b"epoch", 3, 7, NONCE.encode(), b"before", 1_700_000_000_123, members, texts, odd])


def test_a_batch_is_read() -> None:
    batch = Batch.unpack(sealed([(b"likes:b", b"-2"), (b"likes:a", b"5"), (b"views:a", b"1")]))
    assert batch.id == BatchId(3, "epoch", 7, NONCE)
    assert (batch.previous, batch.delta) == ("before", 4)
    assert batch.sealed_at.isoformat() == "2023-11-14T22:13:20.123000+00:00"
    assert list(batch.deltas) == [Delta("likes", "b", -2), Delta("likes", "a", 5), Delta("views", "a", 1)]
    assert not batch.misfits


def test_an_empty_batch_is_read() -> None:
    batch = Batch.unpack(sealed([]))
    assert (len(batch.deltas), batch.misfits, batch.delta) == (0, (), 0)


def test_the_limits_of_64_bits_are_deltas() -> None:
    batch = Batch.unpack(sealed([(b"likes:a", str(MAX_DELTA).encode()), (b"likes:b", str(MIN_DELTA).encode())]))
    assert list(batch.deltas.numbers) == [MAX_DELTA, MIN_DELTA]


@pytest.mark.parametrize(
    ("member", "text"),
    [
        (b"likes:a", b"abc"),
        (b"likes:a", b"1.5"),
        (b"likes:a", b"007"),
        (b"likes:a", b"+1"),
        (b"likes:a", b" 1"),
        (b"likes:a", b""),
        (b"likes:a", str(MAX_DELTA + 1).encode()),
        (b"likes:", b"1"),
        (b"likes", b"1"),
        (b":a", b"1"),
        (b"li kes:a", b"1"),
        (b"likes:\xff\xfe", b"1"),
        (b"likes:a\0b", b"1"),
        (b"likes:a\nlikes:b", b"1"),
        (b"likes:" + b"a" * 256, b"1"),
    ],
)
def test_what_is_no_delta_is_set_apart_and_the_rest_kept(member: bytes, text: bytes) -> None:
    batch = Batch.unpack(sealed([(b"likes:good", b"3"), (member, text)]))
    assert list(batch.deltas) == [Delta("likes", "good", 3)]
    (misfit,) = batch.misfits
    assert misfit.raw == text
    assert misfit.reason
    assert not misfit.item or check_item(misfit.item)  # any database stores it


def test_what_redis_said_of_an_entry_is_its_reason() -> None:
    batch = Batch.unpack(sealed([(b"likes:a", b"dump"), (b"likes:b", b"1")], odd=[(0, b"WRONGTYPE a list")]))
    assert list(batch.deltas) == [Delta("likes", "b", 1)]
    assert batch.misfits[0].reason == "WRONGTYPE a list"


@pytest.mark.parametrize("batch", [sealed([], version=2), msgpack.packb([2]), msgpack.packb([3, {"a": 1}])])
def test_a_later_format_is_told_by_its_number_alone(batch: bytes) -> None:
    with pytest.raises(LaterFormat, match="its format is [23], this version reads 1"):
        Batch.unpack(batch)


@pytest.mark.parametrize("number", [0, -1, None, "2", 2.0])
def test_what_is_no_format_is_no_batch(number: object) -> None:
    with pytest.raises(ValueError, match="there is no format") as raised:
        Batch.unpack(msgpack.packb([number, 7]))
    assert not isinstance(raised.value, LaterFormat)


@given(st.dictionaries(st.binary(max_size=40), st.integers(MIN_DELTA, MAX_DELTA).map(lambda n: str(n).encode())))
def test_every_entry_comes_out_once_as_one_or_the_other(entries: dict[bytes, bytes]) -> None:
    batch = Batch.unpack(sealed(list(entries.items())))
    assert len(batch.deltas) + len(batch.misfits) == len(entries)
    read = {f"{counter}:{item}".encode(): str(number).encode() for counter, item, number in batch.deltas}
    assert read.items() <= entries.items()
