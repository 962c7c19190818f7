"""The table of keys: what is held, for how long, and how much of it."""

from __future__ import annotations

import pytest

from control.errors import ControlError, ErrorCode
from control.idempotency import HELD_S, IdempotencyTable

NAME = ("backend", "key-1")


def settled(
    table: IdempotencyTable[str], key: str, now: float, size_bytes: int = 1, *, of: str = "b"
) -> None:
    """A command that came and went."""
    table.hold((of, key), b"f", key)
    table.settle((of, key), now, size_bytes=size_bytes)


def test_a_key_is_held_while_running_and_for_a_minute_after() -> None:
    """However long the command took."""
    table: IdempotencyTable[str] = IdempotencyTable()
    assert table.find(NAME, b"f", 0.0) is None
    table.hold(NAME, b"f", "value")
    assert table.find(NAME, b"f", 1_000.0) == "value"
    table.settle(NAME, 1_000.0, size_bytes=10)
    assert table.find(NAME, b"f", 1_000.0 + HELD_S - 0.001) == "value"
    assert table.find(NAME, b"f", 1_000.0 + HELD_S) is None
    assert len(table) == 0


def test_a_key_names_one_command() -> None:
    """Running or done, another command under it is a conflict."""
    table: IdempotencyTable[str] = IdempotencyTable()
    table.hold(NAME, b"f", "value")
    for _ in range(2):
        with pytest.raises(ControlError) as refused:
            table.find(NAME, b"other", 0.0)
        assert refused.value.code is ErrorCode.CONFLICT
        if table.find(NAME, b"f", 0.0) == "value" and table._running:
            table.settle(NAME, 0.0, size_bytes=1)


def test_keys_of_different_holders_do_not_meet() -> None:
    """Two backends may count from one."""
    table: IdempotencyTable[str] = IdempotencyTable()
    table.hold(("a", "1"), b"f", "of a")
    assert table.find(("b", "1"), b"g", 0.0) is None


def test_what_came_to_nothing_is_forgotten() -> None:
    """The key is free for another try."""
    table: IdempotencyTable[str] = IdempotencyTable()
    table.hold(NAME, b"f", "value")
    table.forget(NAME)
    assert table.find(NAME, b"f", 0.0) is None


def test_the_oldest_finished_entry_makes_room() -> None:
    """Running ones never do: when all are running the next is refused with a hint."""
    table: IdempotencyTable[str] = IdempotencyTable(running_max=2, done_max=2)
    for key in ("old", "newer", "newest"):
        settled(table, key, 0.0)
    table.hold(("b", "running"), b"f", "running")
    table.hold(("b", "second"), b"f", "second")
    assert len(table) == 4 and table.find(("b", "old"), b"f", 0.0) is None
    assert table.find(("b", "newer"), b"f", 0.0) == "newer"
    with pytest.raises(ControlError) as refused:
        table.hold(("b", "third"), b"f", "third")
    assert refused.value.code is ErrorCode.RESOURCE_EXHAUSTED
    assert refused.value.detail == {"limit": "idempotency_keys"}
    assert refused.value.retry_after_ms == 1_000


def test_bytes_are_bounded() -> None:
    """Large answers push older ones out."""
    table: IdempotencyTable[str] = IdempotencyTable(bytes_max=100)
    settled(table, "a", 0.0, size_bytes=60)
    settled(table, "b", 0.0, size_bytes=60)
    assert table.find(("b", "a"), b"f", 0.0) is None
    assert table.find(("b", "b"), b"f", 0.0) == "b"


def test_who_uses_most_keys_makes_room_for_all() -> None:
    """A busy backend must not have another one's commands done twice."""
    table: IdempotencyTable[str] = IdempotencyTable(done_max=10, bytes_max=100)
    settled(table, "1", 0.0, of="quiet")
    for number in range(50):
        settled(table, str(number), 1.0, of="busy")
    assert table.find(("quiet", "1"), b"f", 2.0) == "1"
    settled(table, "large", 2.0, size_bytes=99, of="greedy")
    assert table.find(("quiet", "1"), b"f", 2.0) == "1"
    assert table.find(("greedy", "large"), b"f", 2.0) is None
    assert len(table) == 9 and table.find(("quiet", "1"), b"f", HELD_S) is None
    assert table.find(("busy", "49"), b"f", 1.0 + HELD_S) is None and len(table) == 0
