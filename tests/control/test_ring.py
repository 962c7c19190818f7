"""The bounded past of the stream, and readers of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from control.ring import Missing, Record, Ring, Slice

MANY = 1_000


def record(seq: int, size: int = 1, room: str | None = "r") -> Record:
    """An event whose frame has this many bytes."""
    return Record(seq, room, "hand.lowered", bytes(size))


def filled(count: int, *, events_max: int = MANY, bytes_max: int = MANY) -> Ring:
    """A ring after so many events of one byte."""
    ring = Ring(events_max, bytes_max)
    for seq in range(1, count + 1):
        ring.append(record(seq))
    return ring


def read(ring: Ring, seq: int, *, bytes_max: int = MANY, records_max: int = MANY) -> Slice:
    """Everything is wanted."""
    return ring.read(seq, lambda one: True, bytes_max=bytes_max, records_max=records_max)


def test_what_is_held_is_read_from_any_position() -> None:
    """In order; at the end there is nothing."""
    ring = filled(5)
    assert read(ring, 3) == Slice(None, [b"\0"] * 3, 6)
    assert read(ring, 6) == Slice(None, [], 6)


def test_the_oldest_fall_out_by_count() -> None:
    """And whoever wanted them learns which."""
    ring = filled(10, events_max=4)
    assert (ring.first, ring.last, ring.held_events, ring.held_bytes) == (7, 10, 4, 4)
    assert read(ring, 5) == Slice(Missing(5, 6), [b"\0"] * 4, 11)
    assert read(ring, 7).missing is None


def test_the_oldest_fall_out_by_bytes() -> None:
    """A large event makes room for itself; one larger than everything is not held."""
    ring = filled(5, bytes_max=10)
    ring.append(record(6, size=7))
    assert (ring.first, ring.held_bytes) == (3, 10)
    ring.append(record(7, size=11))
    assert (ring.first, ring.last, ring.held_bytes) == (8, 7, 0)
    assert read(ring, 3) == Slice(Missing(3, 7), [], 8)


def test_a_ring_of_nothing_misses_everything() -> None:
    """Zero is a valid size."""
    assert read(filled(2, events_max=0), 1) == Slice(Missing(1, 2), [], 3)


def test_a_read_is_bounded_in_bytes_and_in_work() -> None:
    """The frame that reaches the limit is the last; what is not wanted counts as work."""
    ring = filled(10)
    assert read(ring, 1, bytes_max=3).following == 4
    nothing = ring.read(1, lambda one: False, bytes_max=1, records_max=4)
    assert nothing == Slice(None, [], 5)


@given(
    sizes=st.lists(st.integers(0, 9), max_size=60),
    events_max=st.integers(0, 12),
    bytes_max=st.integers(0, 40),
    from_=st.integers(1, 61),
    bytes_step=st.integers(1, 20),
    records_step=st.integers(1, 5),
)
def test_held_is_the_longest_end_within_both_limits_and_reads_cover_it(
    sizes: list[int],
    events_max: int,
    bytes_max: int,
    from_: int,
    bytes_step: int,
    records_step: int,
) -> None:
    """Whatever the sizes; slices of any bounds give every number once, or as missing."""
    ring = Ring(events_max, bytes_max)
    for seq, size in enumerate(sizes, start=1):
        ring.append(record(seq, size))
    held = sizes[ring.first - 1 :]
    assert len(held) == ring.held_events <= events_max and sum(held) == ring.held_bytes <= bytes_max
    longer = sizes[max(0, ring.first - 2) :]
    assert ring.first == 1 or len(longer) > events_max or sum(longer) > bytes_max
    seq = min(from_, len(sizes) + 1)
    begin, got = max(seq, ring.first), []
    while seq <= ring.last:
        piece = read(ring, seq, bytes_max=bytes_step, records_max=records_step)
        assert (piece.missing is not None) == (seq < ring.first)
        got += [len(frame) for frame in piece.frames]
        assert piece.following > seq
        seq = piece.following
    assert got == sizes[begin - 1 :]
