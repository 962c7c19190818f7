"""The rules that hold after every step of every scenario, whatever the network does.

Each checker compares what came out of the server with what the simulator knows to be true, looks
only at what is new since its last call, and raises `Violation` with the rule's name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from control.types import LeaveReason
from tests.sim.audience import tracks
from tests.sim.client import ClientState, SimClient
from tests.sim.continuity import JUDGED_AFTER_S, TrackJudge
from tests.sim.downlink import CopyOf, Heard
from tests.sim.payload import SERVER_SILENCE
from tests.sim.truth import Member, Violation
from tests.sim.world import World

# Server: gone after 20 s without consent; a second for its timer.
GONE_AFTER_S = (20.0, 21.0)
JOIN_EXPIRES_S = 30.0
HEALED_WITHIN_S = 2.0
# Snapshots of who speaks may lag by one tick.
SPEAKERS_WITHIN_S = 0.1
REPEATS_MAX = 2
REPEATED_WITHIN_S = 0.5
# Plain, in RED with one earlier packet and with two, and each of them packed.
SLOT_STREAMS_MAX = 6


class Checker(Protocol):
    """Called after each step; `final` once, at the end of the scenario."""

    def check(self, world: World, *, final: bool) -> None: ...


class CopyChecker:
    """A copy in RED is what was sent so much earlier on the same track, of the same voice."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}

    def check(self, world: World, *, final: bool) -> None:
        """Look at the copies that left since the last call."""
        for client, ssrc, track in tracks(world):
            begin = self._seen.get(ssrc, 0)
            self._seen[ssrc] = len(track)
            for index in range(begin, len(track) if client.shape.red else begin):
                heard = track[index]
                if heard.copies:
                    before = {(h.speaker, h.packet): h for h in track[max(0, index - 32) : index]}
                for copy in heard.copies:
                    said = before.get((copy.speaker, copy.packet))
                    fault = copy_fault(heard, copy, said, client.offer.payload_type)
                    if fault:
                        raise Violation("copies", f"{client.name} is sent {heard}: {fault}")


def copy_fault(heard: Heard, copy: CopyOf, said: Heard | None, payload_type: int) -> str:
    """What is wrong with a copy of `said`; None was before the listener came to this voice."""
    if copy.payload_type != payload_type:
        return f"a copy of payload type {copy.payload_type}"
    if SERVER_SILENCE in (copy.speaker, heard.speaker):
        return ""
    if copy.speaker != heard.speaker or copy.packet >= heard.packet:
        return f"{copy} is of another voice, or of later"
    if said is not None and (heard.timestamp - said.timestamp) & 0xFFFFFFFF != copy.offset:
        return f"{copy} is of {said}"
    return ""


class ContinuityChecker:
    """Every track is one unbroken sequence in time; see `continuity`."""

    def __init__(self) -> None:
        self._judges: dict[int, TrackJudge] = {}

    def check(self, world: World, *, final: bool) -> None:
        """Judge what is old enough, at the end everything."""
        until = world.now if final else world.now - JUDGED_AFTER_S
        for client, ssrc, track in tracks(world):
            judge = self._judges.get(ssrc)
            if judge is None:
                members = world.truth.members
                judge = self._judges[ssrc] = TrackJudge(track, members, members[client.index])
            for fault in judge.take(until):
                raise Violation("continuity", f"{client.name}: {fault}")


class ReceptionChecker:
    """Clients could read all they got, and the server saw no fault of its own."""

    def __init__(self, counters: Callable[[], dict[str, int]]) -> None:
        self._counters = counters

    def check(self, world: World, *, final: bool) -> None:
        """Compare the counts of errors with nought."""
        for client in world.clients:
            if client.downlink.faults:
                raise Violation("wire", f"{client.name}: {client.downlink.faults[0]}")
            if client.counts.srtp_errors or client.counts.bad_answers:
                raise Violation("wire", f"{client.name} could not read the server: {client.counts}")
        errors = self._counters().get("protect_errors", 0)
        if errors:
            raise Violation("wire", f"{errors} packets could not be protected")


class PresenceChecker:
    """Who leaves, when and why: neither too late without consent nor for no reason at all."""

    def __init__(self) -> None:
        self._judged: set[int] = set()

    def check(self, world: World, *, final: bool) -> None:
        """Look at everybody that is present or has left since the last call."""
        for member in world.truth.members:
            if member.is_present:
                self._check_present(member, world.now)
            elif member.client.index not in self._judged:
                self._judged.add(member.client.index)
                self._check_left(member)

    def _check_present(self, member: Member, now: float) -> None:
        since = max(member.last_proof_at, member.joined_at)
        limit = GONE_AFTER_S[1] if member.is_connected else JOIN_EXPIRES_S + 1.0
        if now - since > limit:
            raise Violation(
                "consent", f"{member.participant} is still there after {now - since:.1f} s"
            )

    def _check_left(self, member: Member) -> None:
        assert member.left_at is not None
        quiet_s = member.left_at - member.last_check_at
        if member.reason is LeaveReason.CONSENT_EXPIRED:
            if quiet_s < GONE_AFTER_S[0] - 0.01:
                raise Violation("consent", f"{member.participant} gone after {quiet_s:.1f} s")
        elif member.reason is LeaveReason.JOIN_EXPIRED:
            waited_s = member.left_at - member.joined_at
            if member.last_check_at >= 0 or waited_s < JOIN_EXPIRES_S - 0.01:
                raise Violation("reason", f"{member.participant} given up after {waited_s:.1f} s")
        elif member.reason is not member.expected_reason:
            raise Violation(
                "reason",
                f"{member.participant} left: {member.reason}, not {member.expected_reason}",
            )


class HealingChecker:
    """A link that is healed carries sound again within two seconds."""

    def __init__(self) -> None:
        self._healed: list[tuple[float, SimClient]] = []

    def note(self, client: SimClient, now: float) -> None:
        """The links of this client are whole again."""
        self._healed.append((now, client))

    def forget(self, client: SimClient) -> None:
        """The links of this client are broken again."""
        self._healed = [entry for entry in self._healed if entry[1] is not client]

    def check(self, world: World, *, final: bool) -> None:
        """Judge those that have had their time."""
        due = [entry for entry in self._healed if world.now >= entry[0] + HEALED_WITHIN_S]
        self._healed = [entry for entry in self._healed if entry not in due]
        for at, client in due:
            member = world.truth.members[client.index]
            if not member.is_present or client.state is not ClientState.CONNECTED:
                continue
            if self._was_sent_to(client, at) and not self._heard_since(client, at):
                raise Violation("healing", f"{client.name} hears nothing since {at:.2f}")

    @staticmethod
    def _was_sent_to(client: SimClient, at: float) -> bool:
        tracks = client.downlink.tracks.values()
        return any(
            at < heard.emitted < at + 1.0 for track in tracks for heard in reversed(track[-500:])
        )

    @staticmethod
    def _heard_since(client: SimClient, at: float) -> bool:
        return any(delivered >= at for delivered in client.downlink.last_delivered.values())


class RepeatChecker:
    """What is sent again was asked for, twice at most and while it can be of use."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}

    def check(self, world: World, *, final: bool) -> None:
        """Look at what was sent again since the last call."""
        for client in world.clients:
            repeats = client.downlink.repeats
            begin = self._seen.get(client.index, 0)
            self._seen[client.index] = len(repeats)
            for _, heard in repeats[begin:]:
                times = heard.repeats
                late_s = max(times) - heard.left
                if len(times) > REPEATS_MAX or late_s > REPEATED_WITHIN_S:
                    fault = f"{heard} again, {len(times)} times, after {late_s:.3f} s"
                    raise Violation("repeats", f"to {client.name}: {fault}")


class SpeakersChecker:
    """Snapshots of who speaks name only those who are there and may be heard."""

    def check(self, world: World, *, final: bool) -> None:
        """Compare the last snapshot of each room with the truth."""
        for room in world.truth.rooms.values():
            present = {m.participant: m for m in world.truth.present(room.name)}
            for name in room.speakers:
                member = present.get(name)
                if member is None:
                    self._judge(world, room.speakers_at, f"{name} speaks and is not in {room.name}")
                elif not member.is_audible:
                    changed = member.audibility_changed_at
                    since = changed[-1] if changed else room.speakers_at
                    self._judge(world, since, f"{name} speaks and may not be heard")

    @staticmethod
    def _judge(world: World, since: float, fault: str) -> None:
        if world.now - since > SPEAKERS_WITHIN_S:
            raise Violation("speakers", fault)


class SizesChecker:
    """What the worker keeps is what is there: nothing is left behind, nothing is missing."""

    def __init__(self, sizes: Callable[[], dict[str, int]]) -> None:
        self._sizes = sizes

    def check(self, world: World, *, final: bool) -> None:
        """Compare sizes with the members that are present."""
        members = world.truth.present()
        rooms = world.truth.rooms
        expected = {
            "rooms": len(rooms),
            "transports": len(members),
            "sources": sum(member.client.shape.sends for member in members),
            "egresses": sum(len(_sending_lines(member.client)) for member in members),
        }
        for role in ("moderator", "speaker", "listener"):
            expected[f"participants_{role}"] = sum(member.role == role for member in members)
        sizes = self._sizes()
        wrong = {name: sizes[name] for name in expected if sizes[name] != expected[name]}
        if wrong:
            raise Violation("sizes", f"{wrong} instead of { {n: expected[n] for n in wrong} }")
        self._check_slots(sizes, sum(room.slots for room in rooms.values()), len(rooms))
        addresses = sum(min(len(member.client.addresses), 8) for member in members)
        if sizes["addresses"] > addresses:
            raise Violation("sizes", f"{sizes['addresses']} addresses of {addresses}")
        if sizes["timers"] > len(members) + len(rooms):
            raise Violation("sizes", f"{sizes['timers']} timers")

    @staticmethod
    def _check_slots(sizes: dict[str, int], voices: int, rooms: int) -> None:
        """Beside those that people hold, a room may have one for silence, and one for each mix."""
        slots = sizes["slots"]
        if not 0 <= slots - voices - sizes.get("mixes", 0) <= rooms:
            raise Violation("sizes", f"{slots} slots for {voices} voices and {sizes}")
        if not slots <= sizes["streams"] <= SLOT_STREAMS_MAX * slots:
            raise Violation("sizes", f"{sizes['streams']} streams of {slots} slots")


def _sending_lines(client: SimClient) -> list[int]:
    return [ssrc for line in client.answer_lines for ssrc in line.ssrcs]
