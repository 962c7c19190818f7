"""What the simulator knows for certain: who is where, may be heard, and what reached the server."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from control.events import (
    EventBody,
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantLeft,
    QualityChanged,
    SpeakersChanged,
)
from control.types import LeaveReason, Role
from tests.sim.client import SimClient
from tests.sim.voice import TICKS_PER_S, Uplink


class Violation(AssertionError):
    """A rule of the simulation was broken; `rule` is its short name."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(f"[{rule}] {message}")
        self.rule = rule


# On these a listener is sent every packet of a slot.
FORWARDED = ("A0", "A1", "A2")
# What is held for its tick may still leave after a change.
HELD_S = 0.05


@dataclass(frozen=True, slots=True)
class Tiering:
    """A change of what somebody is sent, and why."""

    at: float
    tier: str
    previous: str
    cause: str


@dataclass(frozen=True, slots=True)
class Stay:
    """Where a member was, and as whom, up to a time (inclusive)."""

    until: float
    room: str
    number: int
    echo_group: str


_NEVER_MOVED: list[float] = []


@dataclass(slots=True)
class Member:
    """One client's presence, from its join to its end, in a room and then perhaps in others.

    Times are virtual seconds.
    """

    client: SimClient
    room: str
    participant: str
    number: int
    generation: int
    echo_group: str
    role: Role
    muted: bool
    joined_at: float
    is_present: bool = True
    is_connected: bool = False
    left_at: float | None = None
    reason: LeaveReason | None = None
    # Why it may leave from now on, besides losing consent; None while there is no cause.
    expected_reason: LeaveReason | None = None
    validated: dict[bytes, float] = field(default_factory=dict)
    # When its consent, and anything at all that proves who sent it, last reached the server.
    last_check_at: float = -1.0
    last_proof_at: float = -1.0
    audibility_changed_at: list[float] = field(default_factory=list)
    former: list[Stay] = field(default_factory=list)  # before it moved
    # What it asked for last, and whether it ever did.
    never: tuple[str, ...] = ()
    is_paused: bool = False
    is_choosy: bool = False
    # What it was on from when on, by its events; the first is what it joined on.
    tiers: list[Tiering] = field(default_factory=list)
    _present: Stay | None = None  # where it is now, once somebody asked
    # The extremes of the one-way delay of its media so far; what jitter a timeline may show.
    delay_min_s: float = 1e9
    delay_max_s: float = 0.0

    @property
    def is_audible(self) -> bool:
        """Whether what arrives from it now may be heard."""
        return self.is_present and not self.muted and self.role.is_on_stage

    @property
    def uplink(self) -> Uplink:
        """What it sent; only of one that has a microphone."""
        assert self.client.microphone is not None, f"{self.participant} sends nothing"
        return self.client.microphone.uplink

    @property
    def frame_ticks(self) -> int:
        """How long its frames are."""
        return self.client.shape.voice.frame_ms * TICKS_PER_S // 1000

    @property
    def delay_spread_s(self) -> float:
        """How far apart the delays of its packets were."""
        return max(0.0, self.delay_max_s - self.delay_min_s)

    def change(self, now: float, *, role: Role | None = None, muted: bool | None = None) -> None:
        """A command took effect."""
        before = self.is_audible
        if role is not None:
            self.role = role
        if muted is not None:
            self.muted = muted
        if self.is_audible != before:
            self.audibility_changed_at.append(now)

    @property
    def tier(self) -> str:
        """What it is sent now, empty while nothing was told of it."""
        return self.tiers[-1].tier if self.tiers else ""

    def may_have_missed(self, since: float, until: float) -> bool:
        """Whether in this time it was sent something else than slots, if only for a moment."""
        return any(
            since - HELD_S <= one.at <= until
            and not (one.tier in FORWARDED and one.previous in FORWARDED)
            for one in reversed(self.tiers)
        )

    def was_on(self, tier: str, since: float, until: float) -> bool:
        """Whether it was sent this at any moment of that time."""
        for one in reversed(self.tiers):
            if one.at <= until and one.tier == tier:
                return True
            if since <= one.at <= until and one.previous == tier:
                return True
            if one.at < since:
                return False
        return False

    def stay_at(self, time: float) -> Stay:
        """Where it was at that time, and as whom."""
        for stay in self.former:
            if time <= stay.until:
                return stay
        if self._present is None:
            self._present = Stay(math.inf, self.room, self.number, self.echo_group)
        return self._present

    def stays(self, since: float, until: float) -> list[Stay]:
        """Where it was at any moment of this time."""
        all_stays = [*self.former, self.stay_at(math.inf)]
        begins = [-math.inf, *(stay.until for stay in self.former)]
        return [
            stay
            for stay, begin in zip(all_stays, begins, strict=True)
            if begin <= until and stay.until >= since
        ]

    @property
    def moved_at(self) -> list[float]:
        """When it changed rooms."""
        return [stay.until for stay in self.former] if self.former else _NEVER_MOVED

    def note_arrival(
        self, data: bytes, address: bytes, packet: int, now: float, *, is_fresh: bool
    ) -> None:
        """A datagram of this client reached the server, coming from `address`.

        A `fresh` address came with the same batch, in which media are looked at first.
        """
        if not self.is_present:
            return
        if data[0] < 4:
            self.validated[address] = now
            self.last_check_at = self.last_proof_at = now
            return
        if address not in self.validated or is_fresh or data[0] < 128:
            return
        self.last_proof_at = now
        microphone = self.client.microphone
        if packet >= 0 and microphone is not None:
            microphone.uplink.arrive(packet, now, self.is_audible)
            if packet in microphone.uplink.repeated:
                return  # how late it comes is not the network's doing
            delay = now - microphone.uplink.sent[packet]
            self.delay_min_s = min(self.delay_min_s, delay)
            self.delay_max_s = max(self.delay_max_s, delay)


@dataclass(slots=True)
class RoomTruth:
    """A room as the simulator keeps it."""

    name: str
    slots: int
    revision: int = -1
    speakers: tuple[str, ...] = ()
    speakers_at: float = 0.0


class Truth:
    """Members by client and by name, rooms, and what the events say about them."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.rooms: dict[str, RoomTruth] = {}
        self.events: list[tuple[float, str | None, EventBody]] = []
        self._present: dict[tuple[str, str], Member] = {}

    def add(self, member: Member) -> None:
        """A join was answered; `member.client.index` is the next in order."""
        assert member.client.index == len(self.members)
        self.members.append(member)
        self._present[member.room, member.participant] = member

    def move(self, member: Member, to: Stay, generation: int, role: Role, now: float) -> None:
        """A move was answered: `to` is where the member is, and as whom, from now on."""
        del self._present[member.room, member.participant]
        member.former.append(Stay(now, member.room, member.number, member.echo_group))
        member.room, member.number, member.echo_group = to.room, to.number, to.echo_group
        member.generation, member.role = generation, role
        member._present = None
        member.never, member.is_paused = (), False
        if member.tiers:
            # Its answer tells what it is sent there; no event does.
            member.tiers.append(Tiering(now, "", member.tier, "moved"))
        # What it said before is not heard any more, and what it says now is another talkspurt.
        member.audibility_changed_at.append(now)
        self._present[member.room, member.participant] = member

    def find(self, participant: str) -> Member:
        """The latest stay of that name, present or not."""
        for member in reversed(self.members):
            if member.participant == participant:
                return member
        raise KeyError(participant)

    def present(self, room: str | None = None) -> list[Member]:
        """Who is there now, in the order of joining."""
        return [m for m in self.members if m.is_present and room in (None, m.room)]

    def apply(self, event: Any, now: float) -> None:
        """Take one `RoomEvent`."""
        room, body = event.room, event.body
        self.events.append((now, room, body))
        if isinstance(body, ParticipantLeft):
            self._apply_left(room, body, now)
        elif isinstance(body, ParticipantConnected):
            self._member_of(room, body.participant, body.generation).is_connected = True
        elif isinstance(body, ParticipantDisconnected):
            self._member_of(room, body.participant, body.generation)
        elif isinstance(body, SpeakersChanged):
            self._apply_speakers(room, body, now)
        elif isinstance(body, QualityChanged):
            self._apply_quality(room, body, now)

    def _member_of(self, room: str, participant: str, generation: int) -> Member:
        for member in reversed(self.members):
            if (member.room, member.participant) == (room, participant):
                if member.generation == generation:
                    return member
        raise Violation("events", f"an event about an unknown stay: {participant}#{generation}")

    def _apply_left(self, room: str, body: ParticipantLeft, now: float) -> None:
        member = self._member_of(room, body.participant, body.generation)
        if not member.is_present:
            raise Violation("events", f"{body.participant} left twice")
        if body.reason is LeaveReason.MOVED:
            return  # its connection goes on; the answer tells where
        if member.is_audible:
            member.audibility_changed_at.append(now)
        member.is_present = False
        member.left_at, member.reason = now, body.reason
        if self._present.get((room, body.participant)) is member:
            del self._present[room, body.participant]

    def _apply_quality(self, room: str, body: QualityChanged, now: float) -> None:
        member = self._present.get((room, body.participant))
        if member is None:
            raise Violation("events", f"the quality of {body.participant}, who is not in {room}")
        if body.tier == body.previous or member.tier not in ("", body.previous):
            raise Violation("quality", f"{body.participant} was on {member.tier}: {body}")
        member.tiers.append(Tiering(now, body.tier, body.previous, body.cause))

    def _apply_speakers(self, room: str, body: SpeakersChanged, now: float) -> None:
        truth = self.rooms[room]
        if body.revision <= truth.revision:
            raise Violation("speakers", f"revision {body.revision} after {truth.revision}")
        truth.revision = body.revision
        truth.speakers = tuple(speaker.participant for speaker in body.speakers)
        truth.speakers_at = now
