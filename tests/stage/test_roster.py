"""What a roster remembers stays bounded and still keeps its promises."""

from __future__ import annotations

import pytest

from control.errors import ControlError
from sfu.stage import RoomSettings, roster
from sfu.stage.roster import Roster
from tests.stage.harness import joining


def admit(target: Roster, name: str, now: float = 0.0, **options: str) -> roster.Admission:
    return target.admit(joining(name, echo_group=options.get("echo_group")), RoomSettings(), now)


def come_and_go(target: Roster, name: str) -> int:
    participant = target.add(admit(target, name), joined_at_ms=0)
    target.remove(participant)
    return participant.generation


def test_numbers_are_never_given_twice_nor_0() -> None:
    target = Roster()
    numbers = [admit(target, f"p{index % 3}").number for index in range(100)]
    assert len(set(numbers)) == 100
    assert 0 not in numbers


def test_numbers_end_before_they_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "NUMBER_MAX", 2)
    target = Roster()
    admit(target, "a")
    admit(target, "b")
    with pytest.raises(ControlError) as refusal:
        admit(target, "c")
    assert refusal.value.detail == {"limit": "participant_numbers"}


def test_generations_grow_though_only_some_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "DEPARTED_MAX", 2)
    target = Roster()
    assert [come_and_go(target, "a") for _ in range(3)] == [1, 2, 3]
    for name in ("b", "c", "d"):
        come_and_go(target, name)
    assert come_and_go(target, "a") > 3


def test_bans_are_bounded_and_the_soonest_to_end_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "BANS_MAX", 2)
    target = Roster()
    target.ban("long", 100.0, 0.0)
    target.ban("short", 10.0, 0.0)
    target.ban("newest", 50.0, 0.0)
    admit(target, "short")
    for name in ("long", "newest"):
        with pytest.raises(ControlError):
            admit(target, name)


def test_longer_ban_stays() -> None:
    target = Roster()
    target.ban("a", 100.0, 0.0)
    target.ban("a", 10.0, 0.0)
    with pytest.raises(ControlError):
        admit(target, "a", now=50.0)


def test_echo_groups_are_forgotten_with_their_last_member() -> None:
    target = Roster()
    members = [
        target.add(admit(target, name, echo_group="table"), joined_at_ms=0) for name in ("a", "b")
    ]
    assert members[0].echo_group == members[1].echo_group
    for member in members:
        assert admit(target, "c", echo_group="table").echo_group == members[0].echo_group
        target.remove(member)
    assert admit(target, "c", echo_group="table").echo_group != members[0].echo_group


def test_refused_metadata_costs_no_place() -> None:
    target = Roster()
    command = joining("a")
    with pytest.raises(ControlError) as refusal:
        target.admit(
            type(command)(
                room="room",
                participant="a",
                role=command.role,
                offer="v",
                metadata={"x": "y" * 20_000},
            ),
            RoomSettings(),
            0.0,
        )
    assert refusal.value.detail == {"field": "metadata"}
    assert len(target) == 0
