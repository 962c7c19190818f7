"""A room's view agrees with the daemon, however snapshot and events overlap."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import to_builtins
from msgspec.structs import replace

from control.commands import (
    HandLower,
    HandRaise,
    ParticipantMove,
    ParticipantRemove,
    ParticipantSetRole,
    ParticipantUpdate,
    RoomCreate,
    RoomLock,
    RoomMuteAll,
    RoomSnapshot,
    RoomSync,
    RoomUnlock,
    RoomUnmuteAll,
    RoomUpdate,
    SnapshotResult,
    StageAccept,
    StageDecline,
    StageInvite,
    SubscriptionUpdate,
    SyncedParticipant,
    TrackMute,
    TrackSetPriority,
    TrackUnmute,
)
from control.errors import ControlError
from control.events import (
    EVENTS,
    Event,
    EventBody,
    EventsGap,
    HandRaised,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    RoleChanged,
    RoomClosed,
    RoomCreated,
    SpeakersChanged,
    TrackMuted,
)
from control.roomview import RoomView
from control.types import ActiveSpeaker, LeaveReason, ParticipantState, Role
from tests.control.fake_daemon import AT_MS, room_state
from tests.control.samples import EVENT_SAMPLES, participant_state
from tests.worker.harness import Bench

PEOPLE = ("red", "blue", "white")


def numbered(told: list[tuple[str | None, EventBody]]) -> list[Event]:
    """Events as the feed numbers them."""
    return [
        Event(epoch="e", seq=seq, at=AT_MS, room=room, body=body)
        for seq, (room, body) in enumerate(told, 1)
    ]


def snapshot(bench: Bench, seq: int) -> SnapshotResult:
    """The room as it is now, said to be of event `seq`."""
    taken: SnapshotResult = bench.run(RoomSnapshot(room="r"))
    return replace(taken, epoch="e", seq=seq)


def known(state: ParticipantState) -> dict[str, Any]:
    """What events tell of a participant: all but how many voices it is sent, which has none."""
    fields: dict[str, Any] = to_builtins(state)
    del fields["slots"]
    return fields


def told_by(view: RoomView) -> dict[str, Any]:
    """What a view knows, as a snapshot would tell it."""
    people = sorted(view.participants.values(), key=lambda one: one.number)
    return {
        "participants": [known(one) for one in people],
        "hands": to_builtins(list(view.hands.values())),
        "counts": to_builtins(view.counts),
        "locked": view.room.locked,
        "hand_policy": view.room.hand_policy,
        "version": view.room.version,
        "slots": view.room.slots,
        "speakers": to_builtins(view.room.speakers),
    }


def told_by_daemon(taken: SnapshotResult) -> dict[str, Any]:
    """The same of a snapshot."""
    people = sorted(taken.participants, key=lambda one: one.number)
    return {
        "participants": [known(one) for one in people],
        "hands": to_builtins(taken.hands),
        "counts": to_builtins(taken.room.counts),
        "locked": taken.room.locked,
        "hand_policy": taken.room.hand_policy,
        "version": taken.room.version,
        "slots": taken.room.slots,
        "speakers": to_builtins(taken.room.speakers),
    }


WHO = st.sampled_from(PEOPLE)
STEPS = st.one_of(
    st.tuples(st.just("join"), WHO, st.sampled_from(list(Role)), st.booleans()),
    st.tuples(st.just("role"), WHO, st.sampled_from(list(Role))),
    st.tuples(st.sampled_from(["raise", "lower", "remove", "accept", "decline", "invite"]), WHO),
    st.tuples(st.sampled_from(["mute", "unmute"]), WHO, st.booleans()),
    st.tuples(st.sampled_from(["mute_all", "unmute_all"]), st.booleans()),
    st.tuples(st.sampled_from(["lock", "unlock"])),
    st.tuples(st.just("slots"), st.integers(1, 6)),
    st.tuples(st.just("wait"), st.floats(0, 40)),
    st.tuples(st.just("away"), WHO),
    st.tuples(st.just("back"), WHO),
    st.tuples(st.just("name"), WHO, st.sampled_from(["", "Red", "Blue"])),
    st.tuples(st.just("priority"), WHO, st.sampled_from([0.0, 6.0])),
    st.tuples(st.just("pause"), WHO, st.booleans()),
    st.tuples(st.just("policy"), st.sampled_from(["open", "closed"])),
    st.tuples(st.just("sync"), st.lists(st.tuples(WHO, st.sampled_from(list(Role))), max_size=3)),
)
COMMANDS: dict[str, Any] = {
    "role": lambda who, role: ParticipantSetRole(room="r", participant=who, role=role),
    "raise": lambda who: HandRaise(room="r", participant=who),
    "lower": lambda who: HandLower(room="r", participant=who),
    "remove": lambda who: ParticipantRemove(room="r", participant=who),
    "accept": lambda who: StageAccept(room="r", participant=who),
    "decline": lambda who: StageDecline(room="r", participant=who),
    "invite": lambda who: StageInvite(room="r", participant=who, expires_s=20),
    "mute": lambda who, lock: TrackMute(room="r", participant=who, lock=lock),
    "unmute": lambda who, lock: TrackUnmute(room="r", participant=who, lock=lock),
    "mute_all": lambda lock: RoomMuteAll(room="r", lock=lock),
    "unmute_all": lambda lock: RoomUnmuteAll(room="r", lock=lock),
    "lock": lambda: RoomLock(room="r"),
    "unlock": lambda: RoomUnlock(room="r"),
    "away": lambda who: ParticipantMove(room="r", participant=who, to_room="s"),
    "back": lambda who: ParticipantMove(room="s", participant=who, to_room="r"),
    "name": lambda who, name: ParticipantUpdate(room="r", participant=who, name=name),
    "priority": lambda who, db: TrackSetPriority(room="r", participant=who, priority_db=db),
    "pause": lambda who, paused: SubscriptionUpdate(room="r", participant=who, paused=paused),
    "policy": lambda policy: RoomUpdate(room="r", hand_policy=policy),
    "sync": lambda people: RoomSync(
        room="r", participants=[SyncedParticipant(participant=w, role=r) for w, r in people]
    ),
    "slots": lambda slots: RoomCreate(room="r", slots=slots),
}


def do(bench: Bench, step: tuple[Any, ...]) -> None:
    """One step; what the daemon refuses changes nothing."""
    name, *arguments = step
    with contextlib.suppress(ControlError):
        if name == "wait":
            bench.wait(arguments[0])
        elif name == "join":
            who, role, muted = arguments
            bench.join(who, role, muted=muted)
        else:
            bench.run(COMMANDS[name](*arguments))


@settings(max_examples=100)
@given(
    before=st.lists(STEPS, max_size=10),
    after=st.lists(STEPS, min_size=5, max_size=25),
)
def test_a_view_agrees_with_the_daemon(
    before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]
) -> None:
    """Snapshot, then events; and any later snapshot that takes in some of the events already."""
    bench = Bench(max_speakers_per_room=2, join_timeout_s=30.0)
    for room in ("r", "s"):
        bench.run(RoomCreate(room=room, empty_timeout_s=31_536_000))
    for who in PEOPLE:
        do(bench, ("join", who, Role.LISTENER, False))
    for step in before:
        do(bench, step)
    seq = len(bench.told)
    early = snapshot(bench, seq)
    for step in after:
        do(bench, step)
    late = snapshot(bench, seq)
    events = numbered(bench.told)
    for view in (RoomView(early), RoomView(late)):
        for event in events:
            view.apply(event)
        assert told_by(view) == told_by_daemon(late)
        assert not view.is_stale
        assert told_by(RoomView(view.snapshot())) == told_by(view)


def view_of(*people: str, seq: int = 10, **fields: Any) -> RoomView:
    """A view of room `r` with listeners in it."""
    states = [participant_state(who, number=n, **fields) for n, who in enumerate(people, 1)]
    return RoomView(
        SnapshotResult(room=room_state("r"), participants=states, hands=[], epoch="e", seq=seq)
    )


def event(body: EventBody, seq: int = 11, room: str | None = "r", epoch: str = "e") -> Event:
    """One event, by default the next."""
    return Event(epoch=epoch, seq=seq, at=AT_MS, room=room, body=body)


def test_what_the_snapshot_holds_already_is_no_news() -> None:
    view = view_of("red")
    assert not view.apply(event(TrackMuted(participant="red", by="x", locked=False), seq=10))
    assert not view.participants["red"].muted


def test_other_rooms_are_no_news() -> None:
    view = view_of("red")
    assert not view.apply(event(RoomClosed(reason="x"), room="other"))
    assert view.closed is None


@pytest.mark.parametrize("epoch", ["e", "another"])
def test_a_gap_and_another_life_of_the_daemon_make_it_stale(epoch: str) -> None:
    view = view_of("red")
    body: EventBody = EventsGap(from_=3, to=10) if epoch == "e" else RoomClosed(reason="x")
    view.apply(event(body, seq=10, room=None, epoch=epoch))
    assert view.is_stale


def test_late_news_of_an_earlier_connection_are_none_of_the_present_one() -> None:
    view = view_of("red", generation=2)
    left = ParticipantLeft(participant="red", reason=LeaveReason.ICE_FAILED, generation=1)
    view.apply(event(left))
    view.apply(event(ParticipantJoined(participant="red", state=participant_state("red")), seq=12))
    assert view.participants["red"].generation == 2


def test_news_of_somebody_unknown_change_nothing() -> None:
    view = view_of()
    view.apply(event(HandRaised(participant="red", raised_at=AT_MS)))
    assert view.hands == {} and view.participants == {}


def test_a_closed_room_is_empty_and_may_come_again() -> None:
    view = view_of("red")
    view.apply(event(RoomClosed(reason="over")))
    assert (view.closed, view.participants) == ("over", {})
    view.apply(event(RoomCreated(state=room_state("r", slots=1)), seq=12))
    assert (view.closed, view.room.slots) == (None, 1)


def test_a_place_on_stage_ends_an_invitation() -> None:
    view = view_of("red", invited_until=AT_MS)
    changed = RoleChanged(participant="red", role=Role.SPEAKER, previous=Role.LISTENER)
    view.apply(event(changed))
    assert view.invited == [] and [one.participant for one in view.on_stage] == ["red"]


def test_a_whole_state_tells_of_a_hand_as_well() -> None:
    view = view_of("red")
    for seq, hand in ((11, AT_MS), (12, None)):
        state = participant_state("red", hand=hand)
        view.apply(event(ParticipantUpdated(participant="red", state=state), seq=seq))
        assert list(view.hands) == ([] if hand is None else ["red"])


def test_speakers_are_those_of_the_last_snapshot_of_them() -> None:
    view = view_of("red", role=Role.SPEAKER)
    loud = ActiveSpeaker(participant="red", level=20, slot=0)
    view.apply(event(SpeakersChanged(revision=1, speakers=[loud])))
    assert view.speakers == {"red": loud}


@given(st.lists(st.sampled_from(sorted(EVENTS)), max_size=30), st.randoms())
def test_no_sequence_of_events_breaks_it(names: list[str], random: Any) -> None:
    """Not even one that no daemon would send."""
    view = view_of("red", "blue")
    for seq, name in enumerate(names, 11):
        view.apply(event(random.choice(EVENT_SAMPLES[name]), seq=seq))
    assert view.counts.total == len(view.participants)
    assert set(view.hands) <= set(view.participants)
