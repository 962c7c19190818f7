"""Who hears whom, packet by packet: from slots, several packets in one, and from mixes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tests.sim.client import SimClient
from tests.sim.downlink import Heard, extension_elements
from tests.sim.offer import LEVEL_URI, MID_URI, TRANSPORT_CC_URI
from tests.sim.payload import MIX, SERVER_SILENCE, MixFrame
from tests.sim.truth import Member, Truth, Violation
from tests.sim.world import World

if TYPE_CHECKING:
    from tests.sim.mixing import RecordedMixing

# Every packet's header extensions would cost more time than they tell.
EXTENSIONS_EVERY = 16
# From the first of several packets in one to when they leave: the frames after it, and what the
# network did to those.
PACKED_S = 0.080
# What leaves lies on the room's clock no further back than this, the longest frame included.
MIX_BEHIND_S = 0.350
# A jitter buffer and a frame: for so long somebody may still be in a mix.
MIXED_WITHIN_S = 0.5
MIX_CSRCS_MAX = 3
LEAN = ("B3", "B4", "B5")


class AudienceChecker:
    """Who hears whom: only the audible, only in the same room, never oneself, each packet once.

    `hold_s` is for how long packets may be held for their tick; `mixing` knows of mixes.
    """

    def __init__(self, hold_s: float = 0.0, mixing: RecordedMixing | None = None) -> None:
        self._hold_s = hold_s
        self._mixing = mixing
        self._seen: dict[int, int] = {}
        self._heard: dict[int, set[tuple[int, int]]] = {}

    def check(self, world: World, *, final: bool) -> None:
        """Look at every media packet that left since the last call."""
        for client, ssrc, track in tracks(world):
            begin = self._seen.get(ssrc, 0)
            self._seen[ssrc] = len(track)
            listener = world.truth.members[client.index]
            once = self._heard.setdefault(client.index, set())
            for heard in track[begin:]:
                fault = self._fault(world.truth, listener, heard)
                for key in heard.said:
                    if key[0] >= 0 and key in once:
                        fault = "twice"
                    once.add(key)
                if fault:
                    raise Violation("audience", f"{client.name} is sent {heard}: {fault}")

    def _fault(self, truth: Truth, listener: Member, heard: Heard) -> str:
        offer = listener.client.offer
        if heard.payload_type not in (offer.payload_type, offer.red_payload_type):
            return f"payload type {heard.payload_type}"
        if heard.sequence % EXTENSIONS_EVERY == 0:
            fault = extension_fault(listener.client, heard)
            if fault:
                return fault
        if heard.speaker == SERVER_SILENCE:
            return ""
        if heard.speaker == MIX:
            assert self._mixing is not None, "nothing is mixed"
            return mix_fault(truth, self._mixing, listener, heard)
        emitted = heard.emitted
        for number, packet in heard.said:
            if not 0 <= number < len(truth.members):
                return "from nobody"
            fault = self._speaker_fault(listener, truth.members[number], packet, emitted, heard)
            if fault:
                return fault
        return ""

    def _speaker_fault(
        self, listener: Member, speaker: Member, packet: int, emitted: float, heard: Heard
    ) -> str:
        uplink = speaker.uplink
        if packet >= len(uplink):
            return "never said"
        hold_s = self._hold_s
        if heard.frames or listener.was_on("A2", emitted - PACKED_S, emitted):
            hold_s += PACKED_S  # what waited for others in vain leaves as it came
        came = uplink.came_at(packet, emitted, hold_s)
        if came is None:
            return "not when it arrived"
        arrived, is_audible = came
        said, hears = speaker.stay_at(arrived), listener.stay_at(emitted)
        if heard.csrc != said.number:
            return f"CSRC {heard.csrc} instead of {said.number}"
        if said.room != hears.room:
            return f"from room {said.room}"
        if speaker is listener or said.echo_group == hears.echo_group:
            return "its own voice"
        if listener.is_paused or speaker.participant in listener.never:
            return "asked not to be"
        # What was held back for its tick counts from its arrival on for the other rules.
        heard.emitted = arrived
        if not is_audible:
            return f"{speaker.participant} may not be heard"
        return ""


def mix_fault(truth: Truth, mixing: RecordedMixing, listener: Member, heard: Heard) -> str:
    """What is wrong with a frame of a mix: nothing if it is one that this listener may be sent."""
    faults = [_one_mix_fault(truth, mixing, listener, heard, mix) for mix in heard.mixes]
    return "" if "" in faults else faults[-1]


def _one_mix_fault(
    truth: Truth, mixing: RecordedMixing, listener: Member, heard: Heard, mix: MixFrame
) -> str:
    hears = listener.stay_at(heard.emitted)
    if listener.is_paused:
        return "asked not to be"
    if not -0.001 <= heard.emitted - mix.at <= MIX_BEHIND_S:
        return f"a mix of {mix.at:.3f}"
    wanted = () if mix.tier in LEAN else mix.csrcs[:MIX_CSRCS_MAX]
    if heard.csrcs != wanted:
        return f"CSRCs {heard.csrcs} instead of {wanted}"
    groups = mixing.echo_groups.get(mix.room, {})
    for client in mixing.came.get(mix.room, {}):
        speaker = truth.members[client]
        stays = [speaker.stay_at(at) for at in mixing.said(mix.room, client, mix.at, heard.emitted)]
        if any(stay.room != hears.room for stay in stays):
            return f"a mix of another room, where {speaker.participant} is"
        own = {groups.get(s.number, -1) for s in stays if s.echo_group == hears.echo_group}
        if own and own != {mix.minus}:
            return f"a mix with {speaker.participant} in it, which is its own voice"
    return _csrc_fault(truth, listener, heard, mix)


def _csrc_fault(truth: Truth, listener: Member, heard: Heard, mix: MixFrame) -> str:
    """Whether those that the mix names may be heard by this listener."""
    hears = listener.stay_at(heard.emitted)
    since = mix.at - MIXED_WITHIN_S
    for csrc in mix.csrcs:
        named = [
            (member, stay)
            for member in truth.members
            for stay in member.stays(since, heard.emitted)
            if stay.number == csrc and stay.room == hears.room
        ]
        if not named:
            return f"a mix with {csrc} in it, who is nobody in {hears.room}"
        speaker, stay = named[-1]
        changed = speaker.audibility_changed_at
        if not speaker.is_audible and not any(at >= since for at in changed):
            return f"a mix with {speaker.participant} in it, who may not be heard"
        if stay.echo_group == hears.echo_group:
            return f"a mix with {speaker.participant} in it, which is its own voice"
        if speaker.participant in listener.never:
            return f"a mix with {speaker.participant} in it, whom it asked not to hear"
    return ""


def extension_fault(client: SimClient, heard: Heard) -> str:
    """Whether level and MID stand there with the ids negotiated with this listener."""
    lines = client.answer_lines
    line = next((line for line in lines if heard.ssrc in line.ssrcs), None)
    if line is None:
        return "SSRC of no m-line"
    expected = {line.extensions[uri]: uri for uri in line.extensions}
    # An m-line that goes both ways borrows this one from the others.
    expected[client.downlink.transport_cc_extension] = TRANSPORT_CC_URI
    for identifier, value in extension_elements(heard.extension):
        uri = expected.get(identifier)
        if uri == MID_URI and value.decode() != line.mid:
            return f"MID {value!r} instead of {line.mid}"
        if uri not in (MID_URI, LEVEL_URI, TRANSPORT_CC_URI):
            return f"header extension {identifier} was not negotiated"
    return ""


def tracks(world: World) -> Iterable[tuple[SimClient, int, list[Heard]]]:
    """Every track of every client by its SSRC, which no two clients of a simulation share."""
    for client in world.clients:
        for ssrc, track in client.downlink.tracks.items():
            yield client, client.index << 32 | ssrc, track
