"""aiortc's own RTCPeerConnection, whole and unaltered: its offer, its ICE, its decoder."""

from __future__ import annotations

import asyncio

import pytest
from aioice.ice import get_host_addresses
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)

from control import Client
from control.types import Role
from tests.interop.aiortc_sound import Ear, Tone, tones

pytestmark = pytest.mark.timeout(60)

SLOTS = 3


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
