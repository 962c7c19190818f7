"""Any sequence of operations on a room keeps what must always be true of it."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from msgspec.structs import replace

from control.commands import (
    ParticipantUpdate,
    RoomUpdate,
    SubscriptionUpdate,
    SyncedParticipant,
)
from control.errors import ControlError
from control.events import ParticipantJoined, ParticipantLeft, SpeakersChanged
from control.types import (
    METADATA_BYTES_MAX,
    LeaveReason,
    ParticipantStatus,
    Role,
)
from sfu.stage import RoomSettings
from sfu.stage.sync import plan_sync
from sfu.stage.wishes import NO_WISHES
from tests.stage.follower import Follower, comparable, everything
from tests.stage.harness import WALL_AT_ZERO, Stage

NAMES = [f"p{index}" for index in range(7)]
FIRST_ROLES = ("moderator", "speaker", "listener", "listener")
names = st.sampled_from(NAMES)
roles = st.sampled_from([role.value for role in Role])
maybe = st.sampled_from([None, True, False])
levels = st.sampled_from([10, 20, 25, 30, 45, 60, 127])


class RoomMachine(RuleBasedStateMachine):
    """A few people in a small room; refusals are as good as success, crashes are not."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(RoomSettings(max_participants=6, max_speakers=3, empty_timeout_s=5))
        self.numbers: set[int] = set()
        self.generations: dict[str, int] = {}
        self.raised: list[str] = []
        self.is_controlled = False
        self.follower = Follower()
        self.followed = 0

    def attempt(self, action: Any, *arguments: Any, **options: Any) -> bool:
        """Whether it was done; what is refused changes nothing and tells nothing."""
        self.follow()
        before = everything(self.stage)
        try:
            action(*arguments, **options)
        except ControlError:
            assert everything(self.stage) == before
            assert self.room.events() == []
            return False
        return True

    def follow(self) -> None:
        """Read the events, as a backend does."""
        self.stage.drain()
        for _, body in self.stage.told[self.followed :]:
            self.follower.take(body)
        self.followed = len(self.stage.told)

    @property
    def room(self) -> Any:
        return self.stage.room

    @initialize(present=st.permutations(NAMES))
    def open(self, present: list[str]) -> None:
        """Most of what follows needs somebody to be there."""
        for name, role in zip(present[:4], FIRST_ROLES, strict=True):
            self.join(name, role, 3, None)

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

    @rule(muted=st.booleans(), lock=st.booleans(), spared=st.lists(roles, max_size=2))
    def mute_all(self, muted: bool, lock: bool, spared: list[str]) -> None:
        locked = {name for name, one in self.room.participants.items() if one.mute_locked}
        left_muted = self.room.moderation.set_all_muted(
            muted, self.stage.now, lock=lock, except_roles=[Role(role) for role in spared]
        )
        for name, one in self.room.participants.items():
            assert (name in left_muted) == (one.role.is_on_stage and one.muted)
            if one.role.is_on_stage and one.role.value not in spared:
                assert one.muted == (muted or (name in locked and not lock))

    @rule(lines=st.lists(st.tuples(names, roles, maybe, maybe), max_size=6))
    def sync(self, lines: list[tuple[str, str, bool | None, bool | None]]) -> None:
        listed = [
            SyncedParticipant(participant=name, role=Role(role), muted=muted, locked=locked)
            for name, role, muted, locked in lines
        ]
        if not self.attempt(self.carry_out, listed):
            return
        assert set(self.room.participants) <= {line.participant for line in listed}
        for line in listed:
            if line.participant not in self.room.participants:
                continue
            state = self.room.participant_state(line.participant)
            assert state.role is line.role
            assert line.locked in (None, state.mute_locked)
            assert line.muted in (None, state.muted) or state.mute_locked
        self.raised = [
            name
            for name in self.raised
            if name in self.room.participants and self.room.participants[name].role is Role.LISTENER
        ]

    def carry_out(self, listed: list[SyncedParticipant]) -> None:
        plan = plan_sync(listed, self.room.participants, self.room.settings)
        for name in plan.leaving:
            self.stage.leave(name, LeaveReason.REMOVED)
        plan.apply(self.room.moderation, self.stage.now)

    @rule(name=names, expires_s=st.sampled_from([1, 5, 60]))
    def invite(self, name: str, expires_s: int) -> None:
        self.attempt(
            self.room.moderation.invite, name, self.stage.now, expires_s=expires_s, actor="chair"
        )

    @rule(name=names)
    def accept(self, name: str) -> None:
        if self.attempt(self.room.moderation.accept, name, self.stage.now):
            assert self.room.participants[name].role is Role.SPEAKER
            assert self.room.participants[name].muted
            self.raised = [raised for raised in self.raised if raised != name]

    @rule(name=names)
    def decline(self, name: str) -> None:
        self.attempt(self.room.moderation.decline, name)

    @rule(
        name=names,
        called=st.sampled_from([None, "", "red"]),
        metadata=st.sampled_from([None, {}, {"a": 1}, {"a": "x" * METADATA_BYTES_MAX}]),
        generation=st.sampled_from([None, None, 1, 2]),
    )
    def rename(self, name: str, called: str | None, metadata: Any, generation: int | None) -> None:
        command = ParticipantUpdate(
            room="room",
            participant=name,
            name=called,
            metadata=metadata,
            if_generation=generation,
        )
        present = self.room.participants.get(name)
        if self.attempt(self.room.update_participant, command):
            assert present is not None and generation in (None, present.generation)

    @rule(
        name=names,
        slots=st.sampled_from([None, 1, 2]),
        always=st.lists(names, max_size=2),
        never=st.lists(names, max_size=2),
        paused=maybe,
    )
    def subscribe(self, name: str, **wishes: Any) -> None:
        command = SubscriptionUpdate(room="room", participant=name, **wishes)
        self.attempt(self.room.subscriptions.update, command, self.stage.now)

    @precondition(lambda self: not self.room.is_closed)
    @rule(controlled=st.booleans())
    def control(self, controlled: bool) -> None:
        self.room.set_controlled(controlled, self.stage.now)
        self.is_controlled = controlled

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
    @rule(
        slots=st.integers(1, 6),
        policy=st.sampled_from(["open", "closed", None]),
        orphans=st.sampled_from(["keep", "close", None]),
        version=st.sampled_from([None, None, 1, 2]),
    )
    def reconfigure(self, slots: int, policy: Any, orphans: Any, version: int | None) -> None:
        command = RoomUpdate(
            room="room", slots=slots, hand_policy=policy, orphan_policy=orphans, orphan_timeout_s=20
        )
        present = self.room.version
        if self.attempt(self.room.apply, command, self.stage.now, if_version=version):
            assert version in (None, present) and self.room.version - present in (0, 1)

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
        self.raised = [raised for raised in self.raised if raised in self.room.participants]

    @rule(seconds=st.sampled_from([0.05, 1.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.stage.now = round(self.stage.now + seconds, 6)
        self.stage.tick()
        self.raised = [raised for raised in self.raised if raised in self.room.participants]

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
        in_forwarder = [by_source.get(forwarder.slots[slot]) for slot in room.slot_ids]
        assert in_forwarder == room.holders
        heard = {by_source[key] for key, row in forwarder.sources.items() if row.audible}
        assert heard == audible

    @invariant()
    def as_many_slots_as_set(self) -> None:
        expected = 0 if self.room.is_closed else self.room.settings.slots
        assert len(self.room.slot_ids) == len(self.room.holders) == expected
        of_silence = int(any(self.stage.is_hushed(name) for name in self.room.participants))
        assert len(self.stage.forwarder.slots) == expected + of_silence

    @invariant()
    def every_line_carries_one_slot_at_most_and_as_many_as_possible(self) -> None:
        for name, participant in self.room.participants.items():
            carried = [slot for slot in self.stage.carried(name) if slot is not None]
            assert len(carried) == len(set(carried))
            heard = {self.room.holders[slot] for slot in carried}
            assert not heard & set(participant.wishes.never)
            most = self.room.participant_state(name).slots
            assert len(carried) <= most
            if participant.wishes == NO_WISHES:
                assert len(carried) == most
                assert most == min(len(participant.egresses), self.room.settings.slots)

    @invariant()
    def counts_are_right(self) -> None:
        counts = self.room.state().counts
        present = [p.role for p in self.room.participants.values()]
        assert (counts.moderator, counts.speaker, counts.listener) == (
            present.count(Role.MODERATOR),
            present.count(Role.SPEAKER),
            present.count(Role.LISTENER),
        )
        assert counts.total <= 6 and counts.moderator + counts.speaker <= 3

    @invariant()
    def hands_are_in_order_and_of_listeners(self) -> None:
        assert [hand.participant for hand in self.room.hands] == self.raised
        for name, participant in self.room.participants.items():
            assert (participant.hand_raised_at_ms is not None) == (name in self.raised)
            assert name not in self.raised or participant.role is Role.LISTENER

    @invariant()
    def invitations_are_of_listeners_and_not_past(self) -> None:
        now_ms = round((WALL_AT_ZERO + self.stage.now) * 1000)
        for participant in self.room.participants.values():
            until_ms = participant.invited_until_ms
            if until_ms is not None:
                assert participant.role is Role.LISTENER
                # While somebody is audible the room looks ten times a second.
                assert until_ms > now_ms - 100

    @invariant()
    def a_locked_mute_is_a_mute(self) -> None:
        assert all(p.muted or not p.mute_locked for p in self.room.participants.values())

    @invariant()
    def a_backend_that_reads_events_knows_everything(self) -> None:
        self.follow()
        known = {name: comparable(one) for name, one in self.follower.participants.items()}
        true = {
            name: comparable(self.room.participant_state(name)) for name in self.room.participants
        }
        assert known == true and list(known) == list(true)
        shown, state = self.follower.room, self.room.state()
        assert shown is not None
        assert replace(shown, counts=state.counts, speakers=state.speakers) == state

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
    def something_is_due_only_when_there_is_a_reason(self) -> None:
        is_watched = any(p.is_audible for p in self.room.participants.values())
        is_due = self.room.next_deadline() is not None
        is_empty = not self.room.participants
        is_orphan = self.room.settings.orphan_policy == "close" and not self.is_controlled
        is_asked = any(p.invited_until_ms for p in self.room.participants.values())
        is_cut_off = self.room.tails.deadline is not None
        assert is_watched or is_due == (
            not self.room.is_closed and (is_empty or is_orphan or is_asked or is_cut_off)
        )


RoomMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow],
)
TestRoom = RoomMachine.TestCase
