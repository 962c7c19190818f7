"""Whose packets are stamped: whoever's line wants it, but not of thousands at once."""

from __future__ import annotations

from typing import cast

import pytest

from control.commands import SubscriptionUpdate
from sfu.worker.peers import Peer
from sfu.worker.stamps import NEWCOMERS_MAX, SILENT_S, STAMPED_MAX
from tests.worker.listeners import House, ScriptedLine


def wanting(listeners: int, *, harmed: bool = False) -> House:
    """All of them want to be stamped, in a room with voices, and have told something."""
    house = House(listeners)
    house.flow()
    for index in range(listeners):
        house.line(index).wants_stamps = True
        house.line(index).loss_ratio = 0.05 if harmed else None
        house.peer(index).told_at = house.now
    return house


def follow(house: House, *indices: int) -> None:
    for index in indices:
        house.lines.follow(house.peer(index), house.now)


def line(peer: Peer) -> ScriptedLine:
    return cast("ScriptedLine", peer.line)


def test_packets_are_stamped_while_the_line_wants_it() -> None:
    house = wanting(1)
    row = house.peer().row
    for wants in (True, True, False, False):
        house.line().wants_stamps = wants
        follow(house, 0)
    assert house.sending.stamped == [(row, True), (row, False)]
    assert house.counters["stampings"] == 1


def test_nobody_is_stamped_to_whom_nothing_is_sent() -> None:
    """So thousands may wait for the first word, and not all of them answer to it."""
    house = House()
    house.line().wants_stamps = True
    follow(house, 0)
    assert house.sending.stamped == []


@pytest.mark.parametrize(("harmed", "most"), [(False, NEWCOMERS_MAX), (True, STAMPED_MAX)])
def test_of_very_many_some_do_without(harmed: bool, most: int) -> None:
    house = wanting(most + 3, harmed=harmed)
    follow(house, *range(most + 3))
    assert [house.peer(index).is_stamped for index in range(most + 3)] == [
        *(True,) * most,
        *(False,) * 3,
    ]
    house.line(0).wants_stamps = False
    follow(house, 0, most, most + 1)
    assert house.peer(most).is_stamped and not house.peer(most + 1).is_stamped


def test_a_line_in_trouble_comes_before_newcomers() -> None:
    house = wanting(NEWCOMERS_MAX + 1)
    house.line(NEWCOMERS_MAX).history = [None, None]
    follow(house, *range(NEWCOMERS_MAX + 1))
    assert house.peer(NEWCOMERS_MAX).is_stamped


def test_who_tells_nothing_is_asked_in_any_case() -> None:
    house = wanting(STAMPED_MAX + 1, harmed=True)
    follow(house, *range(STAMPED_MAX + 1))
    house.now += SILENT_S
    last = house.peer(STAMPED_MAX)
    follow(house, STAMPED_MAX)
    assert last.is_stamped
    last.told_at = house.now
    follow(house, STAMPED_MAX)
    assert not last.is_stamped


def test_those_who_have_left_make_room_with_the_next_round() -> None:
    house = wanting(NEWCOMERS_MAX + 1)
    follow(house, *range(NEWCOMERS_MAX + 1))
    for index in range(10):
        house.peer(index).is_stamped = house.line(index).wants_stamps = False
    house.line(NEWCOMERS_MAX).is_settled = False
    house.pass_time(2.5)
    assert house.peer(NEWCOMERS_MAX).is_stamped


def test_who_pauses_makes_room_at_once() -> None:
    house = wanting(NEWCOMERS_MAX + 1)
    follow(house, *range(NEWCOMERS_MAX))
    paused = SubscriptionUpdate(room="r", participant="guest-0", paused=True)
    house.registry.rooms["r"].subscriptions.update(paused, house.now)
    follow(house, 0, NEWCOMERS_MAX)
    assert not house.peer(0).is_stamped
    assert house.peer(NEWCOMERS_MAX).is_stamped
    assert house.sending.stamped[-2:] == [
        (house.peer(0).row, False),
        (house.peer(NEWCOMERS_MAX).row, True),
    ]


def test_those_to_whom_nothing_is_sent_hold_no_place() -> None:
    """They may never connect; whoever does is stamped from the first packet on."""
    house = wanting(NEWCOMERS_MAX + 1)
    for index in range(NEWCOMERS_MAX):
        house.line(index).is_sent = False
    follow(house, *range(NEWCOMERS_MAX + 1))
    assert not house.peer(NEWCOMERS_MAX).is_stamped
    house.line(NEWCOMERS_MAX).is_settled = False
    house.pass_time(2.5)
    assert house.peer(NEWCOMERS_MAX).is_stamped
    assert house.peer(0).is_stamped
