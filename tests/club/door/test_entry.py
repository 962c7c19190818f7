"""Who gets in by which door, and who waits."""

from __future__ import annotations

import pytest

from deploy.club.door.entry import Entry, entry
from deploy.club.settings import Door

BOTH = frozenset({Door.CLOSED, Door.INVITATION})


@pytest.mark.parametrize(
    ("doors", "is_listed", "is_invited", "expected"),
    [
        (BOTH, True, False, Entry.BY_LIST),
        (BOTH, False, True, Entry.BY_INVITATION),
        (BOTH, True, True, Entry.BY_INVITATION),
        (BOTH, False, False, Entry.WAITS),
        (frozenset({Door.CLOSED}), True, True, Entry.BY_LIST),
        (frozenset({Door.CLOSED}), False, True, Entry.WAITS),
        (frozenset({Door.INVITATION}), True, False, Entry.WAITS),
        (frozenset({Door.INVITATION}), True, True, Entry.BY_INVITATION),
        (frozenset(), True, True, Entry.WAITS),
    ],
)
def test_the_doors_let_in(
    doors: frozenset[Door], is_listed: bool, is_invited: bool, expected: Entry
) -> None:
    assert entry(doors, is_listed=is_listed, is_invited=is_invited) is expected


@pytest.mark.parametrize("how", Entry)
def test_only_who_waits_is_not_in(how: Entry) -> None:
    assert how.is_in == (how is not Entry.WAITS)
