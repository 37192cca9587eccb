"""How much a connection may have under way."""

from __future__ import annotations

from likes.buffer.links.window import BYTES_UNDER_WAY, Window


def test_requests_are_sent_until_they_are_too_many_bytes() -> None:
    window = Window()
    window.sent(BYTES_UNDER_WAY - 10, alone=False)
    assert window.has_room(10)
    assert not window.has_room(11)
    window.answered()
    assert not window
    assert window.has_room(10 * BYTES_UNDER_WAY)  # or it would never be sent


def test_each_answer_makes_room_while_others_are_under_way() -> None:
    window = Window()
    for _ in range(2):
        window.sent(BYTES_UNDER_WAY // 2, alone=False)
    assert not window.has_room(1)
    window.answered()
    assert window.has_room(BYTES_UNDER_WAY // 2)


def test_nothing_follows_one_that_is_alone() -> None:
    window = Window()
    window.sent(10, alone=False)
    assert window.has_room(10)
    window.sent(10, alone=True)
    assert not window.has_room(10)
    window.answered()
    assert not window.has_room(10)
    window.answered()
    assert window.has_room(10)
