"""One admitted identity in a room: what is known of it. Decisions about it are its room's."""

from __future__ import annotations

from dataclasses import dataclass, field

from control.types import Metadata, ParticipantState, ParticipantStatus, Profile, Role

from .quality import Quality
from .refusals import conflict
from .settings import check_metadata
from .wishes import NO_WISHES, Wishes

# In place of a forwarder id: the participant has no microphone track.
NO_SOURCE = -1

# A moderator wins a slot against anybody who is not clearly louder: 12 dB is twice the margin that
# one speaker needs against another, so an equally loud moderator always gets in within 60 ms.
MODERATOR_BONUS_DB = 12.0


@dataclass(slots=True, kw_only=True)
class Participant:
    """A participant of a room.

    `number` is the CSRC on its packets, `source` and `egresses` are forwarder ids (one egress for
    each m-line, in order), `echo_group` is the forwarder's. `red_egresses` are those that take RED.
    Times are unix milliseconds.
    """

    id: str
    number: int
    generation: int
    echo_group: int
    role: Role
    joined_at_ms: int
    name: str | None = None
    metadata: Metadata = field(default_factory=dict)
    muted: bool = False
    mute_locked: bool = False
    hand_raised_at_ms: int | None = None
    invited_until_ms: int | None = None
    status: ParticipantStatus = ParticipantStatus.NEW
    profile: Profile = "voice"
    priority_db: float | None = None
    source: int = NO_SOURCE
    egresses: tuple[int, ...] = ()
    red_egresses: frozenset[int] = frozenset()
    wishes: Wishes = NO_WISHES
    quality: Quality = field(default_factory=Quality)

    @property
    def is_audible(self) -> bool:
        """Whether anything it sends may be heard: on stage, not muted, with a microphone track."""
        return self.role.is_on_stage and not self.muted and self.source != NO_SOURCE

    @property
    def bonus_db(self) -> float:
        """What is added to its level when it competes for a slot: as set, else by role."""
        if self.priority_db is not None:
            return self.priority_db
        return MODERATOR_BONUS_DB if self.role is Role.MODERATOR else 0.0

    def check_generation(self, expected: int | None) -> None:
        """Raises ControlError `conflict` when another was expected: who was meant has left."""
        if expected is not None and expected != self.generation:
            message = f"participant is of generation {self.generation}: {self.id}"
            raise conflict(message, generation=self.generation)

    def describe(self, name: str | None, metadata: Metadata | None) -> bool:
        """Change what is given; an empty name is none. False when that changes nothing.

        Raises ControlError `invalid_argument` for too much metadata.
        """
        if metadata is not None:
            check_metadata(metadata)
        before = self.name, self.metadata
        self.name = self.name if name is None else name or None
        self.metadata = self.metadata if metadata is None else metadata
        return before != (self.name, self.metadata)

    def set_mute(self, *, muted: bool, locked: bool) -> bool:
        """Make it so, whatever it was; a lock is of a mute. False when that changes nothing."""
        assert muted or not locked, "what is not muted cannot be locked so"
        changes = (muted, locked) != (self.muted, self.mute_locked)
        self.muted, self.mute_locked = muted, locked
        return changes

    def state(self, *, tier: str, slots: int) -> ParticipantState:
        """The wire form; `tier` and `slots` (how many it hears) are its room's to say."""
        return ParticipantState(
            participant=self.id,
            number=self.number,
            role=self.role,
            state=self.status,
            muted=self.muted,
            mute_locked=self.mute_locked,
            hand=self.hand_raised_at_ms,
            tier=tier,
            slots=slots,
            joined_at=self.joined_at_ms,
            metadata=self.metadata,
            generation=self.generation,
            name=self.name,
            priority_db=self.priority_db,
            invited_until=self.invited_until_ms,
            profile=self.profile,
        )
