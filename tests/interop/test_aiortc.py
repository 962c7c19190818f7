"""aiortc's own RTCPeerConnection, whole and unaltered: its offer, its ICE, its decoder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from fractions import Fraction

import numpy as np
import pytest
from aioice.ice import get_host_addresses
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

from control import Client
from control.types import Role
from deploy.club.voices import FRAME_SAMPLES, SAMPLE_RATE, Samples
from tests.interop.daemon import Daemon

pytestmark = pytest.mark.timeout(60)

SLOTS = 3
HEARD_FRAMES = 50


class Tone(MediaStreamTrack):
    """A microphone that plays a sine, 20 ms a frame in real time."""

    kind = "audio"

    def __init__(self, hz: int) -> None:
        super().__init__()
        self._hz = hz
        self._samples = 0
        self._started = asyncio.get_running_loop().time()

    async def recv(self) -> AudioFrame:
        """The next frame, when it is due."""
        due = self._started + self._samples / SAMPLE_RATE
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        time = (np.arange(FRAME_SAMPLES) + self._samples) / SAMPLE_RATE
        pcm = (0.3 * 32_767 * np.sin(2 * np.pi * self._hz * time)).astype(np.int16)
        frame = AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, self._samples
        frame.time_base = Fraction(1, SAMPLE_RATE)
        self._samples += FRAME_SAMPLES
        return frame


class Ear:
    """What one m-line plays: frames are read as they come, the latest second is kept."""

    def __init__(self, track: MediaStreamTrack) -> None:
        self._track = track
        self._frames: list[Samples] = []
        self.task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        try:
            while True:
                frame = await self._track.recv()
                assert isinstance(frame, AudioFrame)
                left = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
                self._frames = [*self._frames[-HEARD_FRAMES + 1 :], left.astype(np.float64)]
        except MediaStreamError:
            return

    def loudest_hz(self) -> float:
        """The tone of the latest second; 0 before there was one."""
        if len(self._frames) < HEARD_FRAMES:
            return 0.0
        sound = np.concatenate(self._frames)
        if np.max(np.abs(sound)) < 300:
            return 0.0
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
        return float(np.argmax(spectrum)) * SAMPLE_RATE / len(sound)


@pytest.fixture
async def control(daemon: Daemon) -> AsyncIterator[Client]:
    async with daemon.client() as client:
        yield client


async def join(control: Client, room: str, participant: str, hz: int) -> RTCPeerConnection:
    """A connected speaker with three audio m-lines."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTransceiver(Tone(hz), direction="sendrecv")
    for _ in range(1, SLOTS):
        pc.addTransceiver("audio", direction="recvonly")
    await pc.setLocalDescription(await pc.createOffer())
    joined = await control.participant_join(
        room=room, participant=participant, role=Role.SPEAKER, offer=pc.localDescription.sdp
    )
    await pc.setRemoteDescription(RTCSessionDescription(sdp=joined.answer, type="answer"))
    return pc


def tones(ears: list[Ear]) -> set[int]:
    """What is heard, to the next ten hertz."""
    return {round(hz / 10) * 10 for ear in ears if (hz := ear.loudest_hz())}


async def test_whole_aiortc_peers_hear_each_other(control: Client) -> None:
    """Three speakers: each decodes the tones of the two others, on two of its tracks."""
    if not get_host_addresses(use_ipv4=True, use_ipv6=False):
        pytest.skip("aioice uses no loopback address, and this machine has no other")
    await control.room_create(room="aiortc")
    pcs: dict[int, RTCPeerConnection] = {}
    ears: dict[int, list[Ear]] = {}
    try:
        for hz in (400, 700, 1000):
            pcs[hz] = await join(control, "aiortc", f"tone-{hz}", hz)
            transceivers: list[RTCRtpTransceiver] = pcs[hz].getTransceivers()
            ears[hz] = [Ear(item.receiver.track) for item in transceivers]
        expected = {hz: set(pcs) - {hz} for hz in pcs}
        async with asyncio.timeout(20):
            while {hz: tones(ears[hz]) for hz in pcs} != expected:
                await asyncio.sleep(0.2)
    finally:
        await asyncio.gather(*(pc.close() for pc in pcs.values()))
        for ear in (item for listening in ears.values() for item in listening):
            ear.task.cancel()
        await control.room_close(room="aiortc")
