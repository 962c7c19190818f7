"""Whatever datagrams come, a live daemon goes on, and two people who talk do not notice.

The corpus is what a real peer sent: STUN checks, DTLS flights, SRTP and SRTCP. Mutations go out
from a stranger's socket, from the validated address of a connected participant, and instead of
the DTLS handshake of participants that have just passed ICE. All of it follows from SEED.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from aiortc.rtp import RtcpByePacket, RtcpReceiverInfo, RtcpRrPacket

from control import Client
from control.types import Role
from deploy.club.peer import Peer
from tests.fuzz.mutations import MUTATIONS, mutations
from tests.interop.crowd import Crowd, Guest
from tests.interop.daemon import Daemon, running
from tests.interop.polling import until
from tests.interop.tones import endless, loudest_hz

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

SEED = "datagrams"
# Bursts that a socket buffer holds, so that it is the daemon that is tested and not the kernel.
BURST = 40
BURST_PAUSE_S = 0.01
HALF_OPEN = 20
TONE_HZ = 600


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with running() as started:
        yield started


@pytest.fixture
async def control(daemon: Daemon) -> AsyncIterator[Client]:
    async with daemon.client() as client:
        yield client


async def attacker(control: Client, corpus: list[bytes]) -> Peer:
    """A connected participant; everything it sent is in `corpus`."""
    peer = Peer()
    peer.on_sent = corpus.append
    joined = await control.participant_join(
        room="attacked", participant="attacker", role=Role.SPEAKER, offer=peer.offer
    )
    await peer.connect(joined.answer)
    for level in range(0, 100, 10):
        peer.send(b"\xf8\xff\xfe" * 10, level=level)
    info = RtcpReceiverInfo(
        ssrc=peer.slot_ssrcs[0],
        fraction_lost=1,
        packets_lost=2,
        highest_sequence=3,
        jitter=4,
        lsr=5,
        dlsr=6,
    )
    peer.send_rtcp(bytes(RtcpRrPacket(ssrc=peer.ssrc, reports=[info])))
    # A farewell of somebody else's track says nothing about this one.
    peer.send_rtcp(bytes(RtcpByePacket(sources=[1])))
    return peer


def kinds(corpus: list[bytes]) -> set[str]:
    """Which protocols are among the datagrams (RFC 7983)."""
    names = {range(0, 4): "stun", range(20, 64): "dtls", range(128, 192): "srtp"}
    found = set()
    for datagram in corpus:
        name = next(name for first, name in names.items() if datagram[0] in first)
        if name == "srtp" and 192 <= datagram[1] <= 223:
            name = "srtcp"
        found.add(name)
    return found


async def bombard(daemon: Daemon, control: Client) -> None:
    """MUTATIONS datagrams, half from a stranger, half from a validated address."""
    corpus: list[bytes] = []
    peer = await attacker(control, corpus)
    corpus = list(corpus)
    peer.on_sent = None
    assert kinds(corpus) == {"stun", "dtls", "srtp", "srtcp"}
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.connect(("127.0.0.1", daemon.ports.media))
    stranger.setblocking(False)
    try:
        for number, datagram in enumerate(mutations(corpus, seed=SEED, count=MUTATIONS)):
            if number % BURST == 0:
                await asyncio.sleep(BURST_PAUSE_S)
                if peer.closed.is_set():
                    await peer.close()
                    peer = await attacker(control, [])
            if number % 2:
                stranger.send(datagram)
            else:
                peer.send_datagram(datagram)
    finally:
        stranger.close()
        await peer.close()


async def break_handshakes(control: Client) -> None:
    """Participants that pass ICE and then send nonsense instead of a handshake."""
    hellos: list[bytes] = []
    whole = await attacker(control, hellos)
    await whole.close()
    hellos = [datagram for datagram in hellos if 20 <= datagram[0] < 64]
    for number in range(HALF_OPEN):
        peer = Peer()
        participant = f"half-open-{number}"
        joined = await control.participant_join(
            room="attacked", participant=participant, role=Role.SPEAKER, offer=peer.offer
        )
        await peer.connect_ice(joined.answer)
        for datagram in mutations(hellos, seed=participant, count=20):
            peer.send_datagram(datagram)
        await asyncio.sleep(BURST_PAUSE_S)
        peer.vanish()


async def test_mutated_datagrams_disturb_nobody(daemon: Daemon, control: Client) -> None:
    """Every packet of the talk arrives, in order, and sounds right; the daemon found no bug."""
    async with Crowd(control, "quiet") as crowd, Crowd(control, "attacked"):
        speaker = await crowd.join("speaker", Role.SPEAKER)
        listener = await crowd.join("listener")
        speaker.talk(endless(TONE_HZ), 20)
        await bombard(daemon, control)
        await break_handshakes(control)
        speaker.talks = False
        await until(
            lambda: len(listener.heard) >= len(speaker.sent), lambda: lost(listener, speaker)
        )
        payloads = [item.payload for item in listener.heard]
        assert payloads[: len(speaker.sent)] == speaker.sent
        assert loudest_hz(payloads[: len(speaker.sent)][-60:]) == pytest.approx(TONE_HZ, abs=15)
        assert listener.peer.srtp_errors == 0
        assert not listener.peer.closed.is_set() and not speaker.peer.closed.is_set()
        counters = await control.server_stats()
        assert counters["bugs"] == 0, daemon.log_tail()
        assert counters["dropped_unvalidated"] > 0
        assert counters["dropped_auth"] > 0
        newcomer = await crowd.join("newcomer")
        assert not newcomer.peer.closed.is_set()


def lost(listener: Guest, speaker: Guest) -> str:
    """How much of the talk did not arrive."""
    return f"{len(listener.heard)} packets of {len(speaker.sent)}"
