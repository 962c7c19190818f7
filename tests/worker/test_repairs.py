"""Lost packets: a listener asks the server, the server asks a publisher."""

from __future__ import annotations

import hashlib
import random

import pytest
from pylibsrtp import Policy, Session

from bench.connectivity import Checks
from bench.descriptions import OPUS_PAYLOAD_TYPE, Local, build_offer, parse
from bench.inprocess import CLIENT_PWD, Hall, Visitor, _instant_keys
from control.commands import ParticipantJoin, ParticipantRemove, RoomCreate, TrackMute
from control.types import Role
from sfu.transport.address import pack_address
from sfu.transport.feedback import FEEDBACK, build_extended_report, build_nack
from sfu.transport.rtcp import (
    ExtendedReport,
    Nack,
    ReceiverReport,
    ReferenceDelay,
    RtcpPacket,
    build_receiver_report,
    parse_compound,
)

FRAME_S = 0.02
PAYLOAD = b"\x78" + bytes(60)


class Client:
    """A visitor who negotiated NACK and extended reports, and opens what it is sent."""

    def __init__(
        self, hall: Hall, number: int, role: Role, *, nack: bool = True, xr: bool = True
    ) -> None:
        fingerprint = hashlib.sha256(number.to_bytes(4, "big")).digest().hex(":").upper()
        local = Local(f"client{number:06}", CLIENT_PWD, fingerprint, number + 1, number)
        offer = build_offer(local, sends=role.is_on_stage, receives=1, count=1)
        rtpmap = f"a=rtpmap:{OPUS_PAYLOAD_TYPE} opus/48000/2"
        more = f"\r\na=rtcp-fb:{OPUS_PAYLOAD_TYPE} nack" if nack else ""
        more += "\r\na=rtcp-xr:rcvr-rtt=all" if xr else ""
        offer = offer.replace(rtpmap, rtpmap + more)
        command = ParticipantJoin(room="r", participant=f"p{number}", role=role, offer=offer)
        self.answer = hall.execute(command).answer
        remote = parse(self.answer)
        self.visitor = Visitor(
            participant=command.participant,
            address=pack_address(f"10.0.0.{number}", 5_000),
            remote=remote,
            checks=Checks(local.ufrag, remote.ufrag, remote.pwd, bytes(8)),
            ssrc=local.ssrc,
            fingerprint=fingerprint,
        )
        policy = Policy(
            key=_instant_keys(fingerprint)[1],
            ssrc_type=Policy.SSRC_ANY_INBOUND,
            srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
        )
        self._receive = Session(policy)
        self.media: dict[int, bytes] = {}  # ciphertext by sequence number
        self.again: list[int] = []
        self.heard: list[tuple[float, RtcpPacket]] = []

    def take(self, data: bytes, now: float) -> None:
        """A datagram of the server."""
        if 192 <= data[1] <= 223:
            plain = self._receive.unprotect_rtcp(data)
            self.heard += [(now, packet) for packet in parse_compound(plain, FEEDBACK)]
        elif data[0] >> 6 == 2:
            number = int.from_bytes(data[2:4], "big")
            if number in self.media:
                assert self.media[number] == data
                self.again.append(number)
            else:
                self._receive.unprotect(data)
                self.media[number] = data

    def nacks(self) -> list[tuple[float, Nack]]:
        """What the server asked this client for, and when."""
        return [(at, packet) for at, packet in self.heard if isinstance(packet, Nack)]

    def rtcp(self, *packets: bytes) -> bytes:
        """A compound, protected."""
        report = build_receiver_report(ReceiverReport(self.visitor.ssrc))
        return self.visitor._session().protect_rtcp(report + b"".join(packets))


class Scene:
    """A room with a speaker and a listener; `lose` is what the speaker's line loses."""

    def __init__(self, *, nack: bool = True, xr: bool = True) -> None:
        self.hall = Hall()
        self.hall.execute(RoomCreate(room="r"))
        self.speaker = Client(self.hall, 1, Role.SPEAKER, nack=nack, xr=xr)
        self.listener = Client(self.hall, 2, Role.LISTENER, nack=nack, xr=xr)
        self.clients = {c.visitor.address: c for c in (self.speaker, self.listener)}
        self.hall.on_sent = self._sent
        for client in self.clients.values():
            self.hall.connect(client.visitor)
        self.lost: dict[int, bytes] = {}
        self.said = 0

    def _sent(self, data: bytes, address: bytes) -> None:
        self.clients[address].take(data, self.hall.now)

    def talk(self, count: int = 1, *, lose: tuple[int, ...] = ()) -> None:
        """Packets every 20 ms; those of `lose` (by position) do not arrive."""
        for position in range(count):
            self.said += 1
            data = self.speaker.visitor.packet(PAYLOAD, timestamp=960 * self.said, level=20)
            if position in lose:
                self.lost[self.said] = data
            else:
                self.feed(data, self.speaker)
            self.hall.run_timers(self.hall.now + FRAME_S)

    def feed(self, data: bytes, client: Client, *, waited_s: float = 0.0) -> None:
        """One datagram of a client."""
        self.hall.feed([(data, client.visitor.address)], "media", waited_s=waited_s)

    def measure(self, rtt_s: float = 0.08, *, waited_s: float = 0.0) -> None:
        """The speaker answers the newest reference time as if it were so far away.

        `waited_s` of that the answer lay here before it was read.
        """
        at, extended = next(
            (at, packet)
            for at, packet in reversed(self.speaker.heard)
            if isinstance(packet, ExtendedReport) and packet.reference is not None
        )
        assert extended.reference is not None
        delay = round((self.hall.now - at - rtt_s) * 65_536)
        one = ReferenceDelay(extended.ssrc, extended.reference >> 16 & 0xFFFFFFFF, delay)
        report = ExtendedReport(self.speaker.visitor.ssrc, None, (one,))
        answer = self.speaker.rtcp(build_extended_report(report))
        self.feed(answer, self.speaker, waited_s=waited_s)

    def counter(self, name: str) -> int:
        """One of the worker's."""
        return self.hall.worker.counters()[name]

    def ask(self, *sequences: int) -> None:
        """The listener asks again."""
        ssrc = next(
            int(line.split()[0][7:])
            for line in self.listener.answer.splitlines()
            if line.startswith("a=ssrc:")
        )
        nack = build_nack(Nack(self.listener.visitor.ssrc, ssrc, sequences))
        self.feed(self.listener.rtcp(nack), self.listener)


@pytest.fixture
def scene() -> Scene:
    """A speaker whose round trip is known."""
    scene = Scene()
    scene.talk(60)
    scene.measure()
    return scene


def test_a_listener_gets_again_what_it_asks_for(scene: Scene) -> None:
    newest = max(scene.listener.media)
    scene.ask(newest - 3, newest)
    assert scene.listener.again == [newest - 3, newest]
    assert (scene.counter("nacks_received"), scene.counter("resent")) == (1, 2)


def test_a_listener_that_asks_twice_within_its_round_trip_gets_it_once(scene: Scene) -> None:
    newest = max(scene.listener.media)
    scene.ask(newest)
    scene.ask(newest)
    assert scene.listener.again == [newest]
    scene.talk(6)
    scene.ask(newest)
    assert scene.listener.again == [newest, newest]
    assert scene.counter("resends_refused") == 1


def test_many_nacks_in_one_batch_are_all_served(scene: Scene) -> None:
    numbers = sorted(scene.listener.media)[-3:]
    visitor = scene.listener.visitor
    ssrc = int.from_bytes(scene.listener.media[numbers[0]][8:12], "big")
    batch = [
        (scene.listener.rtcp(build_nack(Nack(1, ssrc, (one,)))), visitor.address) for one in numbers
    ]
    scene.hall.feed(batch, "media")
    assert scene.listener.again == numbers


def test_who_did_not_negotiate_it_gets_nothing_again() -> None:
    scene = Scene(nack=False)
    scene.talk(60)
    scene.ask(max(scene.listener.media))
    assert scene.listener.again == []
    assert scene.counter("resends_refused") == 1


def test_a_publisher_is_asked_for_what_is_lost_and_the_listener_hears_it(scene: Scene) -> None:
    before = len(scene.listener.media)
    began = scene.hall.now
    scene.talk(4, lose=(1, 2))
    ((at, nack),) = scene.speaker.nacks()
    assert nack.sequences == tuple(scene.lost) and nack.ssrc == scene.speaker.visitor.ssrc
    assert at - began == pytest.approx(0.07), "10 ms after the next packet came"
    assert len(scene.listener.media) == before + 2
    for data in scene.lost.values():
        scene.feed(data, scene.speaker)
    assert len(scene.listener.media) == before + 4
    assert sorted(scene.listener.media) == list(
        range(min(scene.listener.media), max(scene.listener.media) + 1)
    )
    counters = {name: scene.counter(name) for name in ("nacks_sent", "packets_asked", "repaired")}
    assert counters == {"nacks_sent": 1, "packets_asked": 2, "repaired": 2}
    scene.talk(20)
    assert len(scene.speaker.nacks()) == 1


def test_nack_alone_is_reason_enough_to_measure_the_round_trip() -> None:
    """Somebody who hears nobody has no other way to tell it."""
    scene = Scene(xr=False)
    scene.talk(60)
    scene.measure()
    scene.talk(20, lose=(1,))
    assert len(scene.speaker.nacks()) == 2


def test_who_agreed_on_neither_gets_no_extended_reports() -> None:
    scene = Scene(nack=False, xr=False)
    scene.talk(60)
    kinds = {type(packet) for _, packet in scene.speaker.heard}
    assert kinds == {ReceiverReport}


def test_a_publisher_is_asked_twice_at_most(scene: Scene) -> None:
    scene.talk(30, lose=(1,))
    (first, _), (second, _) = scene.speaker.nacks()
    assert 0.08 <= second - first < 0.1
    assert scene.hall.worker.next_deadline() is not None


def test_a_reordered_packet_is_not_asked_for(scene: Scene) -> None:
    scene.talk(1, lose=(0,))
    scene.said += 1
    scene.feed(
        scene.speaker.visitor.packet(PAYLOAD, timestamp=960 * scene.said, level=20), scene.speaker
    )
    scene.hall.run_timers(scene.hall.now + 0.005)
    scene.feed(next(iter(scene.lost.values())), scene.speaker)
    scene.talk(20)
    assert scene.speaker.nacks() == []


def test_an_answer_that_was_read_late_does_not_make_its_publisher_far() -> None:
    scene = Scene()
    scene.talk(60)
    scene.measure(0.58, waited_s=0.5)
    scene.talk(20, lose=(1,))
    assert len(scene.speaker.nacks()) >= 1


@pytest.mark.parametrize("rtt_s", [0.25, None])
def test_a_publisher_that_is_far_or_unknown_is_not_asked(rtt_s: float | None) -> None:
    scene = Scene()
    scene.talk(60)
    if rtt_s is not None:
        scene.measure(rtt_s)
    scene.talk(20, lose=(1,))
    assert scene.speaker.nacks() == []


def test_who_did_not_negotiate_it_is_not_asked() -> None:
    scene = Scene(nack=False)
    scene.talk(60, lose=(30,))
    assert scene.speaker.nacks() == []


def test_what_was_lost_before_a_mute_is_not_asked_for_again(scene: Scene) -> None:
    scene.talk(3, lose=(1,))
    scene.hall.execute(TrackMute(room="r", participant="p1"))
    scene.talk(20)
    assert len(scene.speaker.nacks()) == 1


def test_who_left_is_asked_no_more(scene: Scene) -> None:
    scene.talk(2, lose=(0,))
    scene.hall.execute(ParticipantRemove(room="r", participant="p1"))
    scene.hall.run_timers(scene.hall.now + 1.0)
    assert len(scene.speaker.nacks()) == 1


def test_over_80_ms_a_line_that_loses_a_tenth_costs_listeners_next_to_nothing(
    scene: Scene,
) -> None:
    """Answers are lost as well."""
    rng = random.Random(3)
    said: dict[int, bytes] = {}
    answers: list[tuple[float, bytes]] = []
    scene.speaker.heard.clear()
    for frame in range(2_000):
        if frame % 100 == 0:
            visitor = scene.listener.visitor
            scene.hall.feed([(visitor.check(), visitor.address)], "check")
        scene.said += 1
        data = scene.speaker.visitor.packet(PAYLOAD, timestamp=960 * scene.said, level=20)
        said[scene.said] = data
        if rng.random() >= 0.1:
            scene.feed(data, scene.speaker)
        for _ in range(4):
            scene.hall.run_timers(scene.hall.now + FRAME_S / 4)
            for at, nack in scene.speaker.nacks():
                answers += [(at + 0.08, said[number]) for number in nack.sequences]
            scene.speaker.heard.clear()
            while answers and answers[0][0] <= scene.hall.now:
                if rng.random() >= 0.1:
                    scene.feed(answers[0][1], scene.speaker)
                del answers[0]
    numbers = scene.listener.media
    shown = max(numbers) - min(numbers) + 1
    assert shown >= 2_000
    assert (shown - len(numbers)) / shown <= 0.005
    lost = 1 - scene.hall.worker.forwarder.source_stats(0).packets / scene.said
    assert lost == pytest.approx(0.1, abs=0.02), "the publisher is told what its line loses"
