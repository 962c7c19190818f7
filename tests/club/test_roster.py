"""A roster is the daemon's room: snapshot plus events, whatever their order of arrival."""

from __future__ import annotations

import json
from typing import Any

import pytest

from control.events import (
    EventBody,
    HandLowered,
    HandRaised,
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantJoined,
    ParticipantLeft,
    RoleChanged,
    SpeakersChanged,
    TrackMuted,
    TrackUnmuted,
)
from control.types import ActiveSpeaker, LeaveReason, Role
from deploy.club.roster import AUDIENCE_SHOWN, PENDING_MAX, Roster
from tests.club.states import event, participant_state, snapshot


@pytest.fixture
def roster() -> Roster:
    """A room with a speaker `s` and a listener `l`, true at event 10."""
    roster = Roster("lobby")
    speaker = participant_state("s", Role.SPEAKER, muted=False, name="Sue", joined_at=2)
    assert roster.reset(snapshot("lobby", speaker, participant_state("l", name="Lou")))
    return roster


def view(roster: Roster) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(roster.view())
    return result


def test_the_view_separates_stage_hands_and_audience(roster: Roster) -> None:
    roster.apply(event(HandRaised(participant="l", raised_at=5), 11))
    shown = view(roster)
    assert [person["name"] for person in shown["stage"]] == ["Sue"]
    assert [person["name"] for person in shown["hands"]] == ["Lou"]
    assert [person["id"] for person in shown["audience"]] == ["l"]


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        (
            RoleChanged(participant="l", role=Role.SPEAKER, previous=Role.LISTENER),
            "role",
            "speaker",
        ),
        (TrackMuted(participant="s", by="m", locked=True), "mute_locked", True),
        (TrackUnmuted(participant="l"), "muted", False),
        (HandRaised(participant="l", raised_at=5), "hand", True),
    ],
)
def test_an_event_changes_what_the_page_knows_of_itself(
    roster: Roster, body: EventBody, field: str, value: object
) -> None:
    participant = body.participant  # type: ignore[attr-defined]
    before = json.loads(roster.you_view(participant, moderator=False))[field]
    assert roster.apply(event(body, 11))
    after = json.loads(roster.you_view(participant, moderator=False))[field]
    assert (before, after) == (before, value) and before != value


def test_a_lowered_hand_leaves_the_list(roster: Roster) -> None:
    roster.apply(event(HandRaised(participant="l", raised_at=5), 11))
    roster.apply(event(HandLowered(participant="l"), 12))
    assert view(roster)["hands"] == []


def test_a_quiet_connection_is_shown_as_away_until_it_is_back(roster: Roster) -> None:
    roster.apply(event(ParticipantDisconnected(participant="s", generation=1), 11))
    assert view(roster)["stage"][0]["away"]
    roster.apply(event(ParticipantConnected(participant="s", generation=1), 12))
    assert not view(roster)["stage"][0]["away"]


def test_events_up_to_the_snapshot_are_not_applied_twice(roster: Roster) -> None:
    assert not roster.apply(event(ParticipantLeft(participant="l", reason=GONE, generation=1), 10))
    assert "l" in roster.participants


def test_events_during_a_snapshot_are_applied_after_it(roster: Roster) -> None:
    """The answer says seq 10; event 11 came before the answer was read."""
    roster.lose_step()
    assert not roster.apply(event(ParticipantLeft(participant="l", reason=GONE, generation=1), 11))
    roster.reset(snapshot("lobby", participant_state("l"), seq=10))
    assert "l" not in roster.participants


def test_too_many_events_during_a_snapshot_ask_for_another(roster: Roster) -> None:
    roster.lose_step()
    for seq in range(11, 11 + PENDING_MAX + 5):
        roster.apply(event(HandRaised(participant="l", raised_at=seq), seq))
    assert not roster.reset(snapshot("lobby", participant_state("l")))
    assert roster.reset(snapshot("lobby", participant_state("l"), seq=5_000))


def test_the_farewell_of_an_older_connection_removes_nobody(roster: Roster) -> None:
    roster.apply(
        event(ParticipantJoined(participant="l", state=participant_state("l", generation=2)), 11)
    )
    left = ParticipantLeft(participant="l", reason=GONE, generation=1)
    replaced = ParticipantLeft(participant="l", reason=LeaveReason.REPLACED, generation=2)
    assert not roster.apply(event(left, 12))
    assert not roster.apply(event(replaced, 13))
    assert "l" in roster.participants


def test_speakers_are_told_apart_from_the_room(roster: Roster) -> None:
    speakers = [ActiveSpeaker(participant="s", level=20, slot=0)]
    assert not roster.apply(event(SpeakersChanged(revision=1, speakers=speakers), 11))
    assert json.loads(roster.speakers_view())["speakers"] == [{"id": "s", "level": 20}]


def test_a_large_audience_is_shown_as_some_names_and_a_number() -> None:
    roster = Roster("lobby")
    roster.reset(snapshot("lobby", *(participant_state(f"l{n}") for n in range(500))))
    shown = view(roster)
    assert (len(shown["audience"]), shown["audience_count"]) == (AUDIENCE_SHOWN, 500)


GONE = LeaveReason.CONSENT_EXPIRED
