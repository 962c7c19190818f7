"""State values of the control protocol, version 1: rooms and participants as they are on the wire.

All of them are immutable. Times are unix milliseconds where the name says so, else seconds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

# Identifiers are opaque to the daemon. 128 characters hold a UUID, a URL slug or an e-mail address
# and keep events small; control characters are refused so that logs and terminals stay whole.
_IDENTIFIER = Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f-\x9f]+\Z")
RoomId = Annotated[str, _IDENTIFIER]
ParticipantId = Annotated[str, _IDENTIFIER]
Name = Annotated[str, Meta(max_length=256)]
# An SDP offer with seven audio m-lines is under 20 KiB; the double leaves room for extensions.
Sdp = Annotated[str, Meta(min_length=1, max_length=40_960)]
Metadata = dict[str, Any]
# Encoded size of one `metadata` map. It travels in every state event of its owner.
METADATA_BYTES_MAX = 16_384
# Nesting of one `metadata` map, itself included. In a snapshot it stands at depth 5 of 16.
METADATA_DEPTH_MAX = 8
Slots = Annotated[int, Meta(ge=1, le=6)]
Seconds = Annotated[int, Meta(ge=0, le=31_536_000)]
Reason = Annotated[str, Meta(max_length=128)]


class Role(StrEnum):
    """What a participant may do. A listener cannot be heard, whatever it sends."""

    MODERATOR = "moderator"
    SPEAKER = "speaker"
    LISTENER = "listener"

    @property
    def is_on_stage(self) -> bool:
        """Whether this role may be heard, and so counts against `max_speakers`."""
        return self is not Role.LISTENER


class ParticipantStatus(StrEnum):
    """The `state` of a participant: what is known of its media connection."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    SUSPECT = "suspect"


class LeaveReason(StrEnum):
    """Why a participant left: the closed set that `participant.left` carries in `reason`."""

    CLIENT_LEFT = "client_left"
    REMOVED = "removed"
    BANNED = "banned"
    REPLACED = "replaced"
    ROOM_CLOSED = "room_closed"
    MOVED = "moved"
    CONSENT_EXPIRED = "consent_expired"
    DTLS_CLOSED = "dtls_closed"
    DTLS_FAILED = "dtls_failed"
    ICE_FAILED = "ice_failed"
    JOIN_EXPIRED = "join_expired"
    DRAINED = "drained"
    WORKER_LOST = "worker_lost"


HandPolicy = Literal["open", "closed"]
# What becomes of a room while nobody is connected who may steer it.
OrphanPolicy = Literal["keep", "close"]
# Levels span 127 dB: with more than half of that a whisper wins over a shout.
PriorityDb = Annotated[float, Meta(ge=-60.0, le=60.0)]
SubscriptionMode = Literal["auto", "forward", "mix"]
# What somebody's microphone is for: speech in mono, which stops in pauses, or music in stereo.
Profile = Literal["voice", "music"]


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """A state value. Unknown fields from a newer daemon are ignored when read."""


class Counts(Value, frozen=True, kw_only=True):
    """How many participants hold each role."""

    moderator: int = 0
    speaker: int = 0
    listener: int = 0

    @property
    def total(self) -> int:
        """Everybody in the room."""
        return self.moderator + self.speaker + self.listener


class ActiveSpeaker(Value, frozen=True, kw_only=True):
    """One entry of a `speakers.changed` snapshot: `level` in -dBov (0: loudest), `slot` from 0."""

    participant: str
    level: int
    slot: int | None


class RoomState(Value, frozen=True, kw_only=True):
    """A room as `room.get` returns it; `created_at` is unix milliseconds."""

    room: str
    created_at: int
    max_participants: int
    max_speakers: int
    slots: int
    locked: bool
    hand_policy: HandPolicy
    empty_timeout_s: int
    metadata: Metadata
    version: int
    counts: Counts
    speakers: list[ActiveSpeaker]
    orphan_policy: OrphanPolicy = "keep"
    orphan_timeout_s: int = 60


class ParticipantState(Value, frozen=True, kw_only=True, omit_defaults=True):
    """A participant; `number` is its CSRC, `hand`, `joined_at`, `invited_until` are unix ms.

    `priority_db` is what the backend set, None while its role decides. `profile` is on the wire
    when it is not voice.
    """

    participant: str
    number: int
    role: Role
    state: ParticipantStatus
    muted: bool
    mute_locked: bool
    hand: int | None
    tier: str
    slots: int
    joined_at: int
    metadata: Metadata
    generation: int
    name: str | None = None
    priority_db: float | None = None
    invited_until: int | None = None
    profile: Profile = "voice"


class Hand(Value, frozen=True, kw_only=True):
    """One raised hand; `raised_at` is unix milliseconds."""

    participant: str
    raised_at: int


class TierChange(Value, frozen=True, kw_only=True):
    """What a participant was sent since `at` (unix milliseconds), and why it changed to that."""

    at: int
    tier: str
    cause: str


class SubscriptionState(Value, frozen=True, kw_only=True, omit_defaults=True):
    """What one participant is sent, what was asked for, and how its line is, as far as known.

    `slots` is how many voices it hears at once; `slots_max` what was asked for. `protection` is how
    many earlier packets go along with each. `estimate_kbps` is what the line is thought to carry,
    headers included, `loss_ratio` (0 to 1) what it loses; `rtt_ms` is from its last report. `cause`
    is why `tier` last changed, `history` the last changes, the newest at the end.
    """

    participant: str
    tier: str
    slots: int
    paused: bool
    mode: SubscriptionMode
    always: list[str]
    never: list[str]
    slots_max: int | None = None
    protection: int = 0
    max_kbps: int | None = None
    estimate_kbps: int | None = None
    loss_ratio: float | None = None
    rtt_ms: float | None = None
    cause: str | None = None
    history: list[TierChange] = []
