"""One of everything that crosses the wire: events, commands and their results, errors.

Vectors are made of these, and tests of what shows them to people run through all of them.
"""

from __future__ import annotations

from typing import Any

from control.commands import (
    AnyCommand,
    Empty,
    HandList,
    HandLower,
    HandRaise,
    HandsResult,
    JoinResult,
    MutedResult,
    ParticipantGet,
    ParticipantJoin,
    ParticipantList,
    ParticipantMove,
    ParticipantRemove,
    ParticipantRestartIce,
    ParticipantResult,
    ParticipantSetRole,
    ParticipantsResult,
    ParticipantUpdate,
    RestartResult,
    RoomClose,
    RoomCreate,
    RoomGet,
    RoomList,
    RoomLock,
    RoomMuteAll,
    RoomResult,
    RoomSnapshot,
    RoomsResult,
    RoomSync,
    RoomUnlock,
    RoomUnmuteAll,
    RoomUpdate,
    ServerDrain,
    ServerInfo,
    ServerInfoResult,
    ServerStats,
    ServerStatsResult,
    ServerUndrain,
    SnapshotResult,
    StageAccept,
    StageDecline,
    StageInvite,
    SubscriptionGet,
    SubscriptionResult,
    SubscriptionUpdate,
    SyncedParticipant,
    SyncResult,
    TrackMute,
    TrackSetPriority,
    TrackUnmute,
)
from control.errors import ControlError, ErrorCode, exhausted, invalid, not_found
from control.events import (
    EventBody,
    EventsGap,
    HandLowered,
    HandRaised,
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    QualityChanged,
    RoleChanged,
    RoomClosed,
    RoomCreated,
    RoomUpdated,
    ServerDraining,
    ServerOverloaded,
    ServerRecovered,
    ServerUndrained,
    SessionClosed,
    SpeakersChanged,
    StageAccepted,
    StageDeclined,
    StageExpired,
    StageInvited,
    TrackMuted,
    TrackUnmuted,
)
from control.types import (
    ActiveSpeaker,
    Counts,
    Hand,
    LeaveReason,
    ParticipantState,
    ParticipantStatus,
    Role,
    RoomState,
    SubscriptionState,
    TierChange,
)

AT_MS = 1_767_225_600_000
OFFER = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"


def room_sample(**fields: Any) -> RoomState:
    """A room that is in use."""
    defaults: dict[str, Any] = {
        "room": "lobby",
        "created_at": AT_MS,
        "max_participants": 100,
        "max_speakers": 20,
        "slots": 3,
        "locked": False,
        "hand_policy": "open",
        "empty_timeout_s": 300,
        "metadata": {"topic": "tea"},
        "version": 4,
        "counts": Counts(moderator=1, speaker=1, listener=2),
        "speakers": [ActiveSpeaker(participant="red", level=23, slot=0)],
    }
    return RoomState(**{**defaults, **fields})


def participant_state(participant: str = "red", **fields: Any) -> ParticipantState:
    """A connected listener, but for the given fields."""
    defaults: dict[str, Any] = {
        "number": 1,
        "role": Role.LISTENER,
        "state": ParticipantStatus.CONNECTED,
        "muted": False,
        "mute_locked": False,
        "hand": None,
        "tier": "A1",
        "slots": 3,
        "joined_at": AT_MS,
        "metadata": {},
        "generation": 1,
    }
    return ParticipantState(participant=participant, **{**defaults, **fields})


ROOM = room_sample()
RED = participant_state("red", role=Role.SPEAKER, name="Red", number=7)
MUSICIAN = participant_state("red", role=Role.SPEAKER, name="Red", number=7, profile="music")
BLUE = participant_state("blue", hand=AT_MS + 5, metadata={"seat": 12, "vip": True}, number=8)
WHO: dict[str, Any] = {"room": "lobby", "participant": "red"}
ONE = ParticipantResult(participant=RED)
HANDS = HandsResult(hands=[Hand(participant="blue", raised_at=AT_MS + 5)])
SUBSCRIPTION = SubscriptionResult(
    subscription=SubscriptionState(
        participant="red",
        tier="B2",
        slots=3,
        paused=False,
        mode="auto",
        always=["blue"],
        never=[],
        slots_max=2,
        protection=1,
        max_kbps=64,
        estimate_kbps=52,
        loss_ratio=0.015,
        rtt_ms=41.5,
        cause="delay",
        history=[
            TierChange(at=AT_MS - 60_000, tier="A1", cause="join"),
            TierChange(at=AT_MS - 5_000, tier="B2", cause="delay"),
        ],
    )
)
SYNCED = [
    SyncedParticipant(participant="red", role=Role.SPEAKER, muted=False),
    SyncedParticipant(participant="blue", role=Role.LISTENER, locked=True),
]

# Every command with every field that makes sense together, and what it is answered with.
COMMAND_SAMPLES: tuple[tuple[AnyCommand, Any], ...] = (
    (
        ServerInfo(),
        ServerInfoResult(
            version="1.2.3",
            protocol_versions=[1],
            node="n1",
            epoch="e1",
            started_at=AT_MS,
            draining=False,
            load=0.25,
            limits={"rooms": 10_000, "participants": 20_000},
            use={"rooms": 1, "participants": 4},
        ),
    ),
    (ServerStats(), ServerStatsResult(counters={"joins": 4, "packets_in": 4_294_967_296})),
    (ServerDrain(deadline_s=30), Empty()),
    (ServerUndrain(), Empty()),
    (
        RoomCreate(
            room="lobby",
            max_participants=100,
            max_speakers=20,
            slots=3,
            hand_policy="open",
            empty_timeout_s=300,
            orphan_policy="close",
            orphan_timeout_s=60,
            metadata={"topic": "tea"},
        ),
        RoomResult(room=room_sample(orphan_policy="close")),
    ),
    (RoomGet(room="lobby"), RoomResult(room=ROOM)),
    (RoomList(prefix="lo", page=1), RoomsResult(rooms=[ROOM], next_page=2)),
    (
        RoomSnapshot(room="lobby"),
        SnapshotResult(room=ROOM, participants=[RED, BLUE], hands=HANDS.hands, epoch="e1", seq=0),
    ),
    (RoomUpdate(room="lobby", slots=2, if_version=4), RoomResult(room=room_sample(slots=2))),
    (RoomClose(room="lobby", reason="over"), Empty()),
    (RoomLock(room="lobby"), Empty()),
    (RoomUnlock(room="lobby"), Empty()),
    (
        RoomMuteAll(room="lobby", except_roles=[Role.MODERATOR], lock=True, actor="white"),
        MutedResult(muted=["red"]),
    ),
    (RoomUnmuteAll(room="lobby", lock=True), MutedResult(muted=[])),
    (
        RoomSync(room="lobby", participants=SYNCED),
        SyncResult(removed=1, changed=2, missing=["white"]),
    ),
    (
        ParticipantJoin(
            **WHO,
            role=Role.SPEAKER,
            offer=OFFER,
            name="Red",
            metadata={"seat": 12},
            on_duplicate="reject",
            echo_group="table-1",
            muted=True,
            profile="music",
        ),
        JoinResult(participant=MUSICIAN, answer=OFFER),
    ),
    (ParticipantGet(**WHO), ONE),
    (
        ParticipantList(room="lobby", role=Role.LISTENER, page=1),
        ParticipantsResult(participants=[BLUE], next_page=2),
    ),
    (ParticipantUpdate(**WHO, name="Red", metadata={"seat": 1}, if_generation=1), ONE),
    (ParticipantSetRole(**WHO, role=Role.SPEAKER, actor="white"), ONE),
    (ParticipantRemove(**WHO, reason="noise", ban_s=60, if_generation=1), Empty()),
    (ParticipantMove(**WHO, to_room="hall", role=Role.SPEAKER), ONE),
    (ParticipantRestartIce(**WHO, offer=OFFER), RestartResult(answer=OFFER)),
    (HandRaise(room="lobby", participant="blue"), HANDS),
    (HandLower(room="lobby", participant="blue"), HandsResult(hands=[])),
    (HandList(room="lobby", page=1), HANDS),
    (
        StageInvite(room="lobby", participant="blue", expires_s=30, actor="white"),
        ParticipantResult(participant=participant_state("blue", invited_until=AT_MS + 30_000)),
    ),
    (
        StageAccept(**WHO),
        ParticipantResult(participant=participant_state(role=Role.SPEAKER, muted=True)),
    ),
    (StageDecline(**WHO), ParticipantResult(participant=participant_state())),
    (
        TrackMute(**WHO, lock=True, actor="white"),
        ParticipantResult(participant=participant_state(muted=True, mute_locked=True)),
    ),
    (TrackUnmute(**WHO, lock=True), ONE),
    (
        TrackSetPriority(**WHO, priority_db=-6.5),
        ParticipantResult(participant=participant_state(priority_db=-6.5)),
    ),
    (
        SubscriptionUpdate(
            **WHO,
            slots=2,
            always=["blue"],
            never=[],
            mode="auto",
            max_kbps=64,
            paused=False,
        ),
        SUBSCRIPTION,
    ),
    (SubscriptionGet(**WHO), SUBSCRIPTION),
)

_BODIES: tuple[EventBody, ...] = (
    RoomCreated(state=room_sample(version=1)),
    RoomUpdated(state=room_sample(locked=True, version=5)),
    RoomClosed(reason="over"),
    ParticipantJoined(participant="red", state=RED),
    ParticipantConnected(participant="red", generation=1),
    ParticipantDisconnected(participant="red", generation=1),
    ParticipantUpdated(participant="red", state=RED),
    ParticipantLeft(participant="red", reason=LeaveReason.CLIENT_LEFT, generation=1),
    ParticipantLeft(participant="red", reason=LeaveReason.REMOVED, generation=1, detail="too loud"),
    RoleChanged(participant="red", role=Role.SPEAKER, previous=Role.LISTENER, actor="white"),
    RoleChanged(participant="red", role=Role.LISTENER, previous=Role.SPEAKER),
    HandRaised(participant="red", raised_at=AT_MS),
    HandLowered(participant="red"),
    StageInvited(participant="red", expires_at=AT_MS + 60_000, actor="white"),
    StageAccepted(participant="red"),
    StageDeclined(participant="red"),
    StageExpired(participant="red"),
    TrackMuted(participant="red", by="white", locked=True),
    TrackUnmuted(participant="red"),
    SpeakersChanged(
        revision=9,
        speakers=[
            ActiveSpeaker(participant="red", level=23, slot=0),
            ActiveSpeaker(participant="blue", level=40, slot=None),
        ],
    ),
    SpeakersChanged(revision=10, speakers=[]),
    QualityChanged(participant="red", tier="B2", previous="A1", cause="delay"),
    ServerDraining(deadline_ms=30_000),
    ServerDraining(deadline_ms=30_000, migrate_by=AT_MS),
    ServerUndrained(),
    ServerOverloaded(limit="load"),
    ServerRecovered(limit="load"),
    EventsGap(from_=12, to=40),
    SessionClosed(code="unavailable", message="the daemon is stopping"),
    SessionClosed(
        code="resource_exhausted",
        message="too many wrong proofs from this address",
        retry_after_ms=60_000,
    ),
)

EVENT_SAMPLES: dict[str, list[EventBody]] = {}
for _body in _BODIES:
    EVENT_SAMPLES.setdefault(_body.method, []).append(_body)

# One of each code, as the daemon says it.
ERROR_SAMPLES: dict[ErrorCode, ControlError] = {
    error.code: error
    for error in (
        invalid("slots", "Expected `int` <= 6"),
        ControlError(ErrorCode.UNAUTHENTICATED, "say hello and authenticate first"),
        ControlError(ErrorCode.PERMISSION_DENIED, "red is banned", retry_after_ms=60_000),
        not_found("room", "lobby"),
        ControlError(
            ErrorCode.ALREADY_EXISTS, "red is in the room", detail={"what": "participant"}
        ),
        ControlError(ErrorCode.CONFLICT, "another version", detail={"version": 5}),
        ControlError(ErrorCode.FAILED_PRECONDITION, "the mute is locked"),
        exhausted("max_speakers", "20 are on stage", retry_after_ms=1_000),
        ControlError(ErrorCode.UNAVAILABLE, "the daemon is draining"),
        ControlError(ErrorCode.DEADLINE_EXCEEDED, "not done in time; it may yet take effect"),
        ControlError(ErrorCode.UNIMPLEMENTED, "no mixer"),
        ControlError(ErrorCode.INTERNAL, "room.get failed; see the log"),
    )
}
