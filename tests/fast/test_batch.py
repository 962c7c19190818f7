"""A batch keeps datagrams in order, byte for byte, and says when it is full."""

from __future__ import annotations

import pytest

from sfu.fast import ADDRESS_BYTES, DATAGRAM_BYTES_MAX, Batch
from tests.fast.peer import address_of


def test_datagrams_come_back_as_they_went_in() -> None:
    """By index and by iteration, empty ones too."""
    batch = Batch(8, 65_536)
    entries = [(bytes([n]) * (n * 7), address_of(n)) for n in range(8)]
    for data, address in entries:
        assert batch.append(data, address)
    assert list(batch) == entries
    assert [batch[n] for n in range(8)] == entries
    assert len(batch) == 8


def test_a_batch_is_full_by_count() -> None:
    """What does not fit is refused and changes nothing."""
    batch = Batch(2, 65_536)
    assert batch.append(b"a", address_of(1))
    assert batch.append(b"b", address_of(2))
    used = batch.used_bytes
    assert not batch.append(b"c", address_of(3))
    assert [data for data, _ in batch] == [b"a", b"b"]
    assert batch.used_bytes == used


def test_a_batch_is_full_by_bytes() -> None:
    """Exactly the last byte fits."""
    batch = Batch(16, 2 * DATAGRAM_BYTES_MAX)
    assert batch.append(bytes(DATAGRAM_BYTES_MAX), address_of(1))
    assert not batch.append(b"x" * DATAGRAM_BYTES_MAX, b"1" * ADDRESS_BYTES) or len(batch) == 2
    while batch.append(b"y" * 100, address_of(2)):
        pass
    assert len(batch) < 16
    assert batch.used_bytes <= 2 * DATAGRAM_BYTES_MAX
    assert batch[0] == (bytes(DATAGRAM_BYTES_MAX), address_of(1))


def test_clearing_makes_room_again() -> None:
    """The same memory serves the next batch."""
    batch = Batch(2, DATAGRAM_BYTES_MAX)
    for turn in range(5):
        assert batch.append(bytes([turn]) * 50, address_of(turn))
        assert batch[0] == (bytes([turn]) * 50, address_of(turn))
        assert batch.used_bytes >= 50
        batch.clear()
        assert (len(batch), batch.used_bytes, list(batch)) == (0, 0, [])


@pytest.mark.parametrize("index", [-1, 1, 2**31, -(2**31)])
def test_an_index_outside_raises(index: int) -> None:
    """Also a negative one: a batch is no list."""
    batch = Batch()
    batch.append(b"only", address_of(1))
    with pytest.raises(IndexError):
        batch[index]


@pytest.mark.parametrize(
    ("data", "address"),
    [(b"x", b""), (b"x", bytes(17)), (b"x", bytes(19)), (bytes(DATAGRAM_BYTES_MAX + 1), bytes(18))],
)
def test_a_bad_address_or_over_long_data_raises(data: bytes, address: bytes) -> None:
    """Mistakes of the caller."""
    batch = Batch()
    with pytest.raises(ValueError):
        batch.append(data, address)
    assert len(batch) == 0


@pytest.mark.parametrize(("datagrams", "size_bytes"), [(0, 65_536), (1, 0), (2**20, 65_536)])
def test_a_size_that_makes_no_sense_raises(datagrams: int, size_bytes: int) -> None:
    """No batch for nothing, and none without bound."""
    with pytest.raises(ValueError):
        Batch(datagrams, size_bytes)


@pytest.mark.parametrize("wrong", ["text", None, bytearray(b"x"), memoryview(b"x"), 5])
def test_only_bytes_are_datagrams(wrong: object) -> None:
    """A TypeError, not a crash."""
    with pytest.raises(TypeError):
        Batch().append(wrong, bytes(18))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Batch().append(b"x", wrong)  # type: ignore[arg-type]


def test_iterating_while_the_batch_shrinks_ends_cleanly() -> None:
    """What is no longer there is an IndexError, never old memory."""
    batch = Batch()
    for number in range(3):
        batch.append(bytes([number]), address_of(number))
    seen = iter(batch)
    next(seen)
    batch.clear()
    with pytest.raises((IndexError, StopIteration)):
        next(seen)
