"""Any sequence of operations on a room keeps what must always be true of it."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from control.commands import RoomCreate
from control.errors import ControlError
from control.events import ParticipantJoined, ParticipantLeft, SpeakersChanged
from control.types import LeaveReason, ParticipantStatus, Role
from sfu.stage import RoomSettings
from tests.stage.harness import Stage

NAMES = [f"p{index}" for index in range(8)]
names = st.sampled_from(NAMES)
roles = st.sampled_from([role.value for role in Role])
levels = st.sampled_from([10, 20, 25, 30, 45, 60, 127])


class RoomMachine(RuleBasedStateMachine):
    """A few people in a small room; refusals are as good as success, crashes are not."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(RoomSettings(max_participants=6, max_speakers=4, empty_timeout_s=5))
        self.numbers: set[int] = set()
        self.generations: dict[str, int] = {}
        self.raised: list[str] = []

    def attempt(self, action: Any, *arguments: Any, **options: Any) -> bool:
        try:
            action(*arguments, **options)
        except ControlError:
            return False
        return True

    @property
    def room(self) -> Any:
        return self.stage.room

    @precondition(lambda self: not self.room.is_closed)
    @rule(
        name=names,
        role=roles,
        lines=st.integers(0, 7),
        muted=st.booleans(),
        has_microphone=st.booleans(),
        group=st.sampled_from([None, None, "table"]),
        on_duplicate=st.sampled_from(["replace", "reject"]),
    )
    def join(self, name: str, role: str, lines: int, group: str | None, **options: Any) -> None:
        if not self.attempt(self.stage.join, name, role, lines=lines, echo_group=group, **options):
            return
        participant = self.room.participants[name]
        assert participant.number not in self.numbers, "a number was given twice"
        assert participant.generation > self.generations.get(name, 0)
        self.numbers.add(participant.number)
        self.generations[name] = participant.generation
        self.raised = [raised for raised in self.raised if raised != name]

    @rule(name=names, ban_s=st.sampled_from([0, 0, 3]))
    def leave(self, name: str, ban_s: int) -> None:
        if self.attempt(self.stage.leave, name, LeaveReason.REMOVED, ban_s=ban_s):
            self.raised = [raised for raised in self.raised if raised != name]

    @rule(name=names, role=roles)
    def set_role(self, name: str, role: str) -> None:
        before = name in self.room.participants and self.room.participants[name].role
        if self.attempt(self.room.moderation.set_role, name, Role(role), self.stage.now) and (
            before is Role.LISTENER and Role(role).is_on_stage
        ):
            self.raised = [raised for raised in self.raised if raised != name]

    @rule(name=names, muted=st.booleans(), lock=st.booleans())
    def mute(self, name: str, muted: bool, lock: bool) -> None:
        present = self.room.participants.get(name)
        was_locked = present is not None and present.mute_locked
        done = self.attempt(self.room.moderation.set_muted, name, muted, self.stage.now, lock=lock)
        if present is not None and not muted:
            assert done == (not was_locked or lock)

    @rule(name=names)
    def raise_hand(self, name: str) -> None:
        if (
            self.attempt(self.room.moderation.raise_hand, name, self.stage.now)
            and name not in self.raised
        ):
            self.raised.append(name)

    @rule(name=names)
    def lower_hand(self, name: str) -> None:
        if self.attempt(self.room.moderation.lower_hand, name):
            self.raised = [raised for raised in self.raised if raised != name]

    @rule(name=names, status=st.sampled_from(list(ParticipantStatus)))
    def set_status(self, name: str, status: ParticipantStatus) -> None:
        self.attempt(self.room.set_status, name, status)

    @precondition(lambda self: not self.room.is_closed)
    @rule(slots=st.integers(1, 6), policy=st.sampled_from(["open", "closed", None]))
    def reconfigure(self, slots: int, policy: Any) -> None:
        self.room.apply(RoomCreate(room="room", slots=slots, hand_policy=policy), self.stage.now)

    @precondition(lambda self: not self.room.is_closed)
    @rule(locked=st.booleans())
    def lock(self, locked: bool) -> None:
        self.room.set_locked(locked, self.stage.now)

    @rule(name=names, priority_db=st.sampled_from([None, -6.0, 20.0]))
    def prioritise(self, name: str, priority_db: float | None) -> None:
        self.attempt(self.room.moderation.set_priority, name, priority_db)

    @rule(scripts=st.lists(st.tuples(names, levels), max_size=5), steps=st.integers(1, 60))
    def talk(self, scripts: list[tuple[str, int]], steps: int) -> None:
        for _ in range(steps):
            self.stage.now = round(self.stage.now + 0.02, 6)
            for name, level in scripts:
                present = self.room.participants.get(name)
                if present is not None and present.source != -1:
                    self.stage.say(name, level)
            self.stage.tick()

    @rule(seconds=st.sampled_from([0.05, 1.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.stage.now = round(self.stage.now + seconds, 6)
        self.stage.tick()

    @precondition(lambda self: len(self.room.participants) > 4)
    @rule()
    def close(self) -> None:
        for gone in self.room.close("over", self.stage.now):
            self.stage.forwarder.remove_transport(gone.source, gone.egresses)
        self.raised = []

    @invariant()
    def slots_are_held_by_audible_participants_only(self) -> None:
        room, forwarder = self.room, self.stage.forwarder
        audible = {name for name, p in room.participants.items() if p.is_audible}
        held = [holder for holder in room.holders if holder is not None]
        assert set(held) <= audible
        assert len(held) == len(set(held))
        by_source = {p.source: name for name, p in room.participants.items() if p.source != -1}
        in_forwarder = [by_source.get(source) for source in forwarder.slots.values()]
        assert in_forwarder == room.holders
        heard = {by_source[key] for key, row in forwarder.sources.items() if row.audible}
        assert heard == audible

    @invariant()
    def as_many_slots_as_set(self) -> None:
        expected = 0 if self.room.is_closed else self.room.settings.slots
        assert len(self.stage.forwarder.slots) == len(self.room.holders) == expected

    @invariant()
    def every_line_carries_one_slot_at_most_and_as_many_as_possible(self) -> None:
        for name, participant in self.room.participants.items():
            carried = [slot for slot in self.stage.carried(name) if slot is not None]
            assert len(carried) == len(set(carried))
            assert len(carried) == min(len(participant.egresses), self.room.settings.slots)

    @invariant()
    def counts_are_right(self) -> None:
        counts = self.room.state().counts
        present = [p.role for p in self.room.participants.values()]
        assert (counts.moderator, counts.speaker, counts.listener) == (
            present.count(Role.MODERATOR),
            present.count(Role.SPEAKER),
            present.count(Role.LISTENER),
        )
        assert counts.total <= 6 and counts.moderator + counts.speaker <= 4

    @invariant()
    def hands_are_in_order_and_of_listeners(self) -> None:
        assert [hand.participant for hand in self.room.hands] == self.raised
        for name, participant in self.room.participants.items():
            assert (participant.hand_raised_at_ms is not None) == (name in self.raised)
            assert name not in self.raised or participant.role is Role.LISTENER

    @invariant()
    def events_tell_the_same_story(self) -> None:
        self.stage.drain()
        present: list[str] = []
        revision = 0
        shown: list[str] = []
        for _, body in self.stage.told:
            if isinstance(body, ParticipantJoined):
                present.append(body.participant)
            elif isinstance(body, ParticipantLeft):
                present.remove(body.participant)
            elif isinstance(body, SpeakersChanged):
                assert body.revision == revision + 1
                revision = body.revision
                shown = [speaker.participant for speaker in body.speakers]
        assert present == list(self.room.participants)
        if not self.room.is_closed:
            assert all(self.room.participants[name].is_audible for name in shown)

    @invariant()
    def something_is_due_only_when_somebody_is_audible_or_nobody_there(self) -> None:
        is_watched = any(p.is_audible for p in self.room.participants.values())
        is_empty = not self.room.participants and not self.room.is_closed
        is_due = self.room.next_deadline() is not None
        assert is_watched or is_empty == is_due


RoomMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestRoom = RoomMachine.TestCase
