"""Which events pass a filter of rooms and types."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from control.events import EVENTS, Event, HandLowered, UnknownEvent
from control.filters import NOTHING, EventFilter, name_of

ROOMS = (None, "a", "b", "c")
NAMES = (*sorted(EVENTS), "hand.waved", "later.invented")
filters = st.builds(
    EventFilter.of,
    st.none() | st.sets(st.sampled_from(("a", "b", "c"))),
    st.none() | st.sets(st.sampled_from(("hand.*", "hand.raised", "room.*", "later.invented"))),
)


def test_types_are_names_or_groups() -> None:
    """Also those that a newer daemon invents; gaps and the end pass always."""
    one = EventFilter.of(None, ["hand.*", "room.closed"])
    passed = [name for name in NAMES if one.passes(None, name)]
    assert passed == [
        "events.gap",
        "hand.lowered",
        "hand.raised",
        "room.closed",
        "session.closed",
        "hand.waved",
    ]
    assert one.known_types() == frozenset(passed) - {"hand.waved"}
    assert EventFilter().known_types() is None


def test_the_daemon_passes_every_filter_of_rooms_but_the_empty_one() -> None:
    """Which lets nothing pass."""
    assert EventFilter.of(["a"], None).passes(None, "server.draining")
    assert not NOTHING.passes(None, "server.draining") and NOTHING.is_nothing


@given(filters, filters)
def test_a_union_passes_what_either_passes(one: EventFilter, other: EventFilter) -> None:
    """And is no larger than it has to be where one of the two is nothing."""
    both = one.union(other)
    for room in ROOMS:
        for name in NAMES:
            if one.passes(room, name) or other.passes(room, name):
                assert both.passes(room, name)
    assert one.union(NOTHING) == one or one.is_nothing


def test_unknown_events_have_their_name() -> None:
    """As known ones have."""
    unknown = UnknownEvent(name="hand.waved", fields={})
    names = [
        name_of(Event(epoch="e", seq=1, at=0, room=None, body=body))
        for body in (unknown, HandLowered(participant="p"))
    ]
    assert names == ["hand.waved", "hand.lowered"]
