"""Stream continuity over real SRTP: whatever speakers do, every listener gets one sane stream.

These tests drive the forwarder alone, with the microphones, decryption and judge of whole rooms.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from sfu.fast import Batch, Forwarder
from sfu.transport.address import pack_address
from tests.sim.continuity import TrackJudge
from tests.sim.downlink import Downlink, Heard
from tests.sim.voice import Microphone, Uplink, Voice

STEADY = Voice(pause_s=(0.0, 0.0))
EGRESS_SSRC = 0xE0E0E0E0
PAYLOAD_TYPE = 111
DAY_S = 86_400.0
# Publishers whose clocks stand still while others talk lag behind by this before it is mended: a
# shorter silence may be a network that stalled (BEHIND_TICKS_MAX in sfu/fast/_timeline.pxd).
CLOCK_LAG_S = 1.0


def session(number: int, way: str, *, sends: bool) -> Session:
    """One end of one direction; both ends derive the key from the number."""
    key = random.Random(f"{number}/{way}").randbytes(28)
    kind = Policy.SSRC_ANY_OUTBOUND if sends else Policy.SSRC_ANY_INBOUND
    policy = Policy(key, kind, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM)
    return Session(policy)


@dataclass
class Talker:
    """A publisher with a microphone; the truth about it for the judge."""

    number: int
    source: int
    address: bytes
    microphone: Microphone
    protects: Session
    audible: bool = True
    delay_spread_s: float = 0.0
    audibility_changed_at: list[float] = field(default_factory=list)

    @property
    def uplink(self) -> Uplink:
        return self.microphone.uplink

    @property
    def frame_ticks(self) -> int:
        return self.microphone.voice.frame_ms * 48


class Room:
    """Some talkers, one slot, one listener, real keys."""

    def __init__(self, voices: list[Voice], first_sequence: int = 1, seed: int = 0) -> None:
        self.forwarder = Forwarder()
        self.now = 1.0
        self.slot = self.forwarder.add_slot()
        self.random = random.Random(seed)
        self.holder: Talker | None = None
        self.talkers = [self._talker(number, voice) for number, voice in enumerate(voices)]
        self.sent: list[bytes] = []
        self.downlink = Downlink()
        self.downlink.expect([EGRESS_SSRC])
        self.downlink.tap(session(1000, "down", sends=False))
        transport = self._transport(1000)
        self.egress = self.forwarder.add_egress(
            transport,
            ssrc=EGRESS_SSRC,
            payload_type=PAYLOAD_TYPE,
            first_sequence=first_sequence,
            first_timestamp=self.random.randrange(2**32),
            echo_group=1000,
            level_extension=2,
        )
        self.forwarder.subscribe(self.egress, self.forwarder.slot_stream(self.slot))
        self.judge = TrackJudge(self.track, self.talkers)
        self._found: list[str] = []
        self._inbox = Batch(64, 64 * 2_048)
        self._outbox = Batch(64, 64 * 2_048)

    @property
    def track(self) -> list[Heard]:
        """What was sent to the listener."""
        return self.downlink.tracks[EGRESS_SSRC]

    def _transport(self, number: int) -> int:
        transport = self.forwarder.add_transport()
        receive = session(number, "up", sends=False)
        self.forwarder.set_keys(transport, receive, session(number, "down", sends=True))
        address = pack_address("198.18.0.1", 20_000 + number)
        self.forwarder.allow(transport, address)
        self.forwarder.route(transport, address)
        return transport

    def _talker(self, number: int, voice: Voice) -> Talker:
        source = self.forwarder.add_source(
            self._transport(number),
            csrc=number + 1,
            echo_group=number,
            payload_type=PAYLOAD_TYPE,
            level_extension=1,
        )
        self.forwarder.set_audible(source, True)
        microphone = Microphone(
            number,
            voice,
            self.random,
            ssrc=number + 1,
            payload_type=PAYLOAD_TYPE,
            level_extension=1,
        )
        microphone.is_speaking = True
        address = pack_address("198.18.0.1", 20_000 + number)
        return Talker(number, source, address, microphone, session(number, "up", sends=True))

    def hold(self, talker: Talker) -> None:
        """Give the slot to this talker; whoever had it begins anew when it comes back."""
        if self.holder is not None and self.holder is not talker:
            self.holder.audibility_changed_at.append(self.now)
        self.holder = talker
        self.forwarder.assign(self.slot, talker.source, self.now)

    def set_audible(self, talker: Talker, audible: bool) -> None:
        """Mute or unmute."""
        if talker.audible != audible:
            talker.audible = audible
            talker.audibility_changed_at.append(self.now)
        self.forwarder.set_audible(talker.source, audible)
        self.now += 1e-6  # what is sent at the moment of a change would be judged either way

    def pause(self, talker: Talker, seconds: float) -> None:
        """Nothing comes from this talker for a while."""
        self.now += seconds
        talker.microphone.open(self.now, seconds)

    def speak(self, talker: Talker, *, lost: bool = False) -> None:
        """The talker sends its next frame now; time does not move."""
        frame = talker.microphone.frame(self.now)
        assert frame is not None
        plain, packet = frame
        data = talker.protects.protect(plain)
        if lost:
            return
        talker.uplink.arrive(packet, self.now, talker.audible)
        assert self._inbox.append(data, talker.address)
        self.forwarder.receive(self._inbox, self.now)
        more = True
        while more:
            more = self.forwarder.drain(self._outbox)
            for out, _ in self._outbox:
                self.sent.append(out)
                self.downlink.observe(out, self.now)
            self._outbox.clear()
        self._inbox.clear()

    def talk(self, talker: Talker, frames: int, loss: float = 0.0) -> None:
        """Speak for some frames, losing some on the way."""
        for frame in range(frames):
            self.speak(talker, lost=loss > 0 and self.random.random() < loss)
            self.now += talker.microphone.frame_s
            if frame % 1_000 == 999:  # well before sequence numbers wrap
                self._found += self.judge.take(self.now)

    def faults(self) -> list[str]:
        """What is wrong with everything that was sent."""
        found = self._found + self.downlink.faults + self.judge.take(self.now)
        errors = self.forwarder.counters()["protect_errors"]
        return found + [f"{errors} protect errors"] * (errors > 0)


numbers = st.integers(0, 2)
operations = st.one_of(
    st.tuples(st.just("talk"), numbers, st.integers(1, 40), st.sampled_from((0.0, 0.2, 0.5))),
    st.tuples(st.just("mute"), numbers, st.floats(0, DAY_S), st.integers(0, 20)),
    st.tuples(st.just("pause"), numbers, st.floats(0, DAY_S), st.just(0)),
    st.tuples(st.just("leap"), numbers, st.integers(0, 65_535), st.booleans()),
    st.tuples(st.just("switch"), numbers, st.floats(0, 0.1), st.just(0)),
)
voices = st.builds(
    Voice,
    frame_ms=st.sampled_from((10, 20, 40, 60)),
    pause_s=st.just((0.0, 0.0)),
    # A publisher that begins just below the wrap and loses that packet is lost to everybody.
    sequence=st.integers(0, 64_000),
    timestamp=st.integers(0, 2**32 - 1),
    clock_stops=st.booleans(),
)


def perform(room: Room, operation: tuple[str, int, float, float]) -> None:
    """Carry out one drawn operation."""
    kind, number, first, second = operation
    talker = room.talkers[number]
    if kind == "talk":
        room.talk(talker, int(first), second)
    elif kind == "mute":
        room.set_audible(talker, False)
        room.talk(talker, int(second))
        room.pause(talker, first)
        room.set_audible(talker, True)
    elif kind == "pause":
        room.pause(talker, first)
    elif kind == "leap":
        # Half the number space at once is ambiguous to the publisher's own SRTP: take three steps.
        for part in (first // 3, first // 3, first - first // 3 * 2):
            talker.microphone.jump(int(part), int(part) * 960 if second else 0)
            room.talk(talker, 1)
    else:
        room.now += first
        room.hold(talker)
        room.speak(talker)
        room.now += talker.microphone.frame_s


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    voices=st.lists(voices, min_size=3, max_size=3),
    first_sequence=st.integers(1, 32_767),
    drawn=st.lists(operations, min_size=1, max_size=25),
)
def test_whatever_speakers_do_the_stream_goes_on(
    voices: list[Voice], first_sequence: int, drawn: list[tuple[str, int, float, float]]
) -> None:
    room = Room(voices, first_sequence)
    for talker in room.talkers:
        talker.delay_spread_s = CLOCK_LAG_S
    room.hold(room.talkers[0])
    room.talk(room.talkers[0], 3)
    for operation in drawn:
        perform(room, operation)
    room.hold(room.talkers[1])
    room.talk(room.talkers[1], 60)
    assert room.faults() == []
    assert room.track[-1].speaker == 1


def test_three_wraps_of_the_sequence_at_a_fifth_of_loss() -> None:
    room = Room([Voice(pause_s=(0.0, 0.0), sequence=65_000)], first_sequence=32_767)
    talker = room.talkers[0]
    room.hold(talker)
    room.talk(talker, 1)
    room.talk(talker, 3 * 65_536 + 2_000, loss=0.2)
    assert room.faults() == []
    assert len(talker.uplink) > 3 * 65_536
    assert len(room.track) == sum(arrived >= 0 for arrived in talker.uplink.arrived)
    shown = sum(
        (after.sequence - before.sequence - 1) & 0xFFFF
        for before, after in zip(room.track, room.track[1:], strict=False)
    )
    heard_until = room.track[-1].packet + 1
    assert shown == heard_until - len(room.track), "as many gaps as the uplink lost"


@pytest.mark.parametrize("first_sequence", [1, 2, 1_000, 16_384, 32_766, 32_767])
def test_a_listener_that_missed_the_first_500_packets_reads_the_rest(first_sequence: int) -> None:
    room = Room([STEADY], first_sequence)
    room.hold(room.talkers[0])
    room.talk(room.talkers[0], 600)
    late = session(1000, "down", sends=False)
    for data in room.sent[500:]:
        late.unprotect(data)
    assert room.track[0].sequence == first_sequence


@pytest.mark.parametrize("first_sequence", [0, 32_768, 65_535, -1])
def test_a_first_sequence_that_could_lose_the_rollover_is_refused(first_sequence: int) -> None:
    with pytest.raises(ValueError):
        Room([STEADY], first_sequence)


def test_dropping_half_by_policy_shows_no_loss() -> None:
    room = Room([STEADY])
    talker = room.talkers[0]
    room.hold(talker)
    for frame in range(2_000):
        room.set_audible(talker, frame % 2 == 0)
        room.talk(talker, 1)
    assert room.faults() == []
    assert len(room.track) == 1_000
    assert [heard.sequence for heard in room.track] == list(range(1, 1_001))


def test_a_slot_that_goes_back_and_forth_shows_no_loss() -> None:
    room = Room([STEADY, STEADY])
    for _ in range(500):
        for talker in room.talkers:
            room.hold(talker)
            room.talk(talker, 1)
    assert [heard.sequence for heard in room.track] == list(range(1, 1_001))


@pytest.mark.parametrize("seed", range(3))
def test_time_holds_over_a_thousand_random_switches(seed: int) -> None:
    """Also when people interrupt each other between two frames, again and again."""
    room = Room([STEADY, STEADY, STEADY], seed=seed)
    rng = room.random
    phases = [rng.random() * 0.020 for _ in room.talkers]
    due = [(1.0 + phase, talker) for phase, talker in zip(phases, room.talkers, strict=True)]
    holder, switches, until_switch = room.talkers[0], 0, 0
    room.hold(holder)
    while switches < 1_000:
        due.sort(key=lambda entry: entry[0])
        at, talker = due.pop(0)
        room.now = at
        due.append((at + 0.020, talker))
        if until_switch == 0 and talker is not holder:
            holder, switches, until_switch = talker, switches + 1, rng.randrange(1, 60)
            room.hold(holder)
        until_switch = max(0, until_switch - 1)
        room.speak(talker)
    assert room.faults() == []
