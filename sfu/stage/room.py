"""A room: the one place where its parts meet, and the only thing that its worker calls.

A command or a fact comes in as a method call with `now`; the effect on what is heard is complete
when the call returns; what others should know is taken with `events()`. See the package docstring
for who owns what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from control.events import (
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    RoomClosed,
    RoomCreated,
    RoomUpdated,
)
from control.types import (
    Counts,
    Hand,
    LeaveReason,
    ParticipantState,
    ParticipantStatus,
    Role,
    RoomState,
)

from .floor import Floor
from .journal import Journal, RoomEvent
from .lifetime import Lifetime
from .moderation import Moderation
from .participant import NO_SOURCE, Participant
from .quality import Quality
from .refusals import conflict
from .roster import Admission, Roster
from .settings import PARTICIPANTS_MAX, RoomSettings
from .subscriptions import Subscriptions
from .voices import Voices

if TYPE_CHECKING:
    from control.commands import ParticipantJoin, ParticipantUpdate, RoomSettingsCommand
    from sfu.fast import Challenge, Forwarder

    from .floor import Talk
    from .tiers import MixStreams

REASON_CLOSED = "closed"


class Room:
    """One room and everything in it.

    Participant ids that are not here raise ControlError `not_found` in every method that takes
    one. Nothing may be called after `close` but `events`, `close`, `tick` and `next_deadline`.
    `wall_at_zero` is unix seconds at `now == 0.0`. Generations are above `generation_floor`, which
    is that of earlier rooms: one of them may have had this id. `tiers` counts listeners of this and
    of other rooms by what they are sent.
    """

    def __init__(
        self,
        room_id: str,
        settings: RoomSettings,
        forwarder: Forwarder,
        *,
        now: float,
        wall_at_zero: float,
        generation_floor: int = 0,
        mixes: MixStreams | None = None,
        tiers: Counter[str] | None = None,
    ) -> None:
        self.id = room_id
        self.settings = settings
        self.version = 1
        self.is_closed = False
        self._journal = Journal(room_id, wall_at_zero)
        self._tell, self._unix_ms = self._journal.tell, self._journal.unix_ms
        self._created_at_ms = self._unix_ms(now)
        self._roster = Roster(generation_floor)
        self._floor = Floor(forwarder, settings.slots)
        self.tails = self._floor.tails
        self._lifetime = Lifetime(now)
        self.moderation = Moderation(
            self._roster,
            settings_of=lambda: self.settings,
            follow=lambda participant, now: self._voices.follow(participant, now),
            tell=self._tell,
            tell_state=self._tell_state,
            unix_ms=self._unix_ms,
        )
        self.subscriptions = Subscriptions(
            self._roster,
            self._floor,
            forwarder,
            mixes=mixes,
            journal=self._journal,
            tiers=Counter() if tiers is None else tiers,
        )
        self._voices = Voices(self._floor, self.subscriptions, self._tell)
        self._tell(RoomCreated(state=self.state()))

    # What it is

    @property
    def participants(self) -> Mapping[str, Participant]:
        """Everybody, by id, in the order they joined."""
        return self._roster.participants

    @property
    def highest_generation(self) -> int:
        """Of all who have left: once it is closed, of all it ever had."""
        return self._roster.highest_generation

    @property
    def on_stage(self) -> int:
        """How many may be heard by their role: speakers and moderators."""
        return self._roster.on_stage

    @property
    def counts(self) -> Counts:
        """How many hold each role."""
        return self._roster.counts()

    @property
    def hands(self) -> list[Hand]:
        """Raised hands, first raised first."""
        return self.moderation.hands()

    @property
    def holders(self) -> list[str | None]:
        """The participant that holds each slot, by slot index."""
        return [None if holder is None else holder.id for holder in self._floor.holders()]

    @property
    def is_flowing(self) -> bool:
        """Whether anybody speaks or did lately: while nobody does, listeners are sent nothing."""
        return self._voices.deadline is not None

    def talk(self, within_s: float, now: float) -> Talk:
        """How many of its slots had voice within `within_s`, and in packets of which length."""
        return self._floor.talk(within_s, now)

    @property
    def slot_ids(self) -> tuple[int, ...]:
        """The forwarder's slots, by slot index."""
        return self._floor.slot_ids

    def state(self) -> RoomState:
        """The room as `room.get` returns it."""
        return self.settings.state(
            self.id,
            self.version,
            created_at=self._created_at_ms,
            counts=self._roster.counts(),
            speakers=self._voices.snapshot,
        )

    def participant_state(self, participant_id: str) -> ParticipantState:
        """A participant as `participant.get` returns it."""
        return self._state_of(self._roster.get(participant_id))

    def events(self) -> list[RoomEvent]:
        """Take what happened since the last call, in order."""
        return self._journal.take()

    # Settings

    def apply(
        self,
        command: RoomSettingsCommand,
        now: float,
        *,
        max_participants_limit: int = PARTICIPANTS_MAX,
        if_version: int | None = None,
    ) -> None:
        """Settings for a room that exists: fields that are given and differ take effect.

        Lower limits send nobody away. Raises ControlError `invalid_argument`, `conflict`.
        """
        if if_version is not None and if_version != self.version:
            raise conflict(f"the room is of version {self.version}", version=self.version)
        changed = self.settings.changed_by(command, max_participants_limit=max_participants_limit)
        self._adopt(changed, now)

    def set_locked(self, locked: bool, now: float) -> None:
        """A locked room takes nobody new; whoever is in it may be replaced."""
        self._adopt(replace(self.settings, locked=locked), now)

    def set_segmented(self, segmented: bool) -> None:
        """Whether a listener's packets of a tick leave together: cheaper, up to 20 ms later."""
        self._floor.set_segmented(segmented)

    # Coming and going

    def admit(self, command: ParticipantJoin, now: float) -> Admission:
        """A place for a newcomer, with the numbers that its forwarder rows need.

        Nobody has joined yet: an admission that comes to nothing is simply dropped. When it
        `replaces` somebody, that one must be removed before `add`. Raises ControlError.
        """
        return self._roster.admit(command, self.settings, now)

    def admit_moved(
        self, participant_id: str, origin: Room, role: Role | None, now: float
    ) -> Admission:
        """A place for a participant of `origin`, in its `role` there unless another is given.

        Mute and lock, name, metadata, profile, echo group and the state of its connection go
        along. It is still there: remove it from `origin` before `add`. Raises ControlError.
        """
        mover = origin._roster.get(participant_id)
        return self._roster.admit_moved(
            mover,
            mover.role if role is None else role,
            self.settings,
            now,
            echo_group=origin._roster.echo_group_of(participant_id),
        )

    def add(
        self,
        admission: Admission,
        *,
        source: int = NO_SOURCE,
        egresses: Sequence[int] = (),
        red_egresses: Iterable[int] = (),
        quality: Quality | None = None,
        now: float,
    ) -> Participant:
        """The newcomer takes its place. `egresses` are in the order of its m-lines.

        Those of `red_egresses` take RED. `quality` is what it was sent so far, if it moved here.
        """
        participant = self._roster.add(admission, joined_at_ms=self._unix_ms(now))
        participant.source = source
        participant.egresses = tuple(egresses)
        participant.red_egresses = frozenset(red_egresses)
        participant.quality = quality or Quality()
        self._lifetime.fill()
        self._voices.follow(participant, now)
        self.subscriptions.add(participant, now)
        self.subscriptions.reseat(now)
        self._tell(ParticipantJoined(participant=participant.id, state=self._state_of(participant)))
        return participant

    def remove(
        self,
        participant_id: str,
        reason: LeaveReason,
        now: float,
        *,
        detail: str | None = None,
        ban_s: float = 0.0,
    ) -> Participant:
        """Somebody leaves; the caller closes its transport. With `ban_s` it may not come back."""
        participant = self._roster.get(participant_id)
        if ban_s > 0:
            self._roster.ban(participant_id, now + ban_s, now)
            reason = LeaveReason.BANNED
        self.moderation.forget(participant)
        self.subscriptions.remove(participant)
        self._roster.remove(participant)
        self._tell(
            ParticipantLeft(
                participant=participant.id,
                reason=reason,
                generation=participant.generation,
                detail=detail,
            )
        )
        self._voices.take(participant, now)
        if not self._roster.participants:
            self._lifetime.empty(now)
        return participant

    def close(
        self,
        reason: str,
        now: float,
        *,
        leave_reason: LeaveReason = LeaveReason.ROOM_CLOSED,
    ) -> list[Participant]:
        """Everybody leaves, then the room is gone; the caller closes the returned ones' transports.

        Idempotent: a closed room has nobody left to return.
        """
        if self.is_closed:
            return []
        leaving = list(self._roster.participants.values())
        for participant in leaving:
            self._voices.forget(participant)
            self.remove(participant.id, leave_reason, now)
        self._floor.close()
        self._voices.stop()
        self.is_closed = True
        self._tell(RoomClosed(reason=reason))
        return leaving

    def check_generation(self, participant_id: str, expected: int | None) -> None:
        """Raises ControlError `conflict` when somebody newer is there than who was meant."""
        self._roster.get(participant_id).check_generation(expected)

    def update_participant(self, command: ParticipantUpdate) -> None:
        """Another name or other metadata. Raises ControlError `invalid_argument`, `conflict`."""
        participant = self._roster.get(command.participant)
        participant.check_generation(command.if_generation)
        if participant.describe(command.name, command.metadata):
            self._tell_state(participant)

    # What is known of a connection

    def set_status(self, participant_id: str, status: ParticipantStatus) -> None:
        """What the transport knows: connected (also again) and suspect are told to everybody."""
        participant = self._roster.get(participant_id)
        if participant.status is status:
            return
        participant.status = status
        generation = participant.generation
        if status is ParticipantStatus.CONNECTED:
            self._tell(ParticipantConnected(participant=participant.id, generation=generation))
        elif status is ParticipantStatus.SUSPECT:
            self._tell(ParticipantDisconnected(participant=participant.id, generation=generation))

    # What is heard, and time

    def challenge(self, challenge: Challenge, now: float) -> bool:
        """A voiced packet without a slot: True when its source now holds one, so forward it."""
        return self._voices.challenge(challenge, now)

    def set_controlled(self, controlled: bool, now: float) -> None:
        """Whether anybody is connected who may change this room; nobody is when it begins."""
        self._lifetime.set_controlled(controlled, now)

    def tick(self, now: float) -> list[Participant]:
        """Do what is due; whom that sent away, as `close`. Early and repeated calls do nothing."""
        if self.is_closed:
            return []
        self._voices.tick(now)
        self.subscriptions.tick(now)
        self.tails.tick(now)
        self.moderation.tick(now)
        ending = self._lifetime.ending(self.settings)
        return [] if ending is None or now < ending.at else self.close(ending.reason, now)

    def next_deadline(self) -> float | None:
        """When `tick` has something to do, None for never.

        A room with voices looks around ten times a second, soon enough for all but silence.
        """
        if self.is_closed:
            return None
        soonest = _earlier(self._voices.deadline, self.tails.deadline, self.subscriptions.deadline)
        if soonest is not None:
            return soonest
        ending = self._lifetime.ending(self.settings)
        return _earlier(None if ending is None else ending.at, self.moderation.next_deadline)

    # Inside

    def _adopt(self, settings: RoomSettings, now: float) -> None:
        """Take other settings; one version and one event when anything differs."""
        if settings == self.settings:
            return
        slots = settings.slots
        if slots > len(self._floor):
            self._floor.resize(slots)
            self.subscriptions.resize(slots, now)
        elif slots < len(self._floor):
            self.subscriptions.resize(slots, now)
            self._floor.resize(slots)
        self.settings = settings
        self.version += 1
        self.subscriptions.reseat(now)
        self._tell(RoomUpdated(state=self.state()))

    def _state_of(self, participant: Participant) -> ParticipantState:
        sent = self.subscriptions
        return participant.state(tier=sent.tier(participant), slots=sent.heard(participant))

    def _tell_state(self, participant: Participant) -> None:
        state = self._state_of(participant)
        self._tell(ParticipantUpdated(participant=participant.id, state=state))


def _earlier(*deadlines: float | None) -> float | None:
    return min((at for at in deadlines if at is not None), default=None)
