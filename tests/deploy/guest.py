"""A guest on stage with a whole WebRTC stack of its own: aiortc's."""

from __future__ import annotations

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription

from control import Client
from control.types import Role
from tests.interop.aiortc_sound import Ear, Tone, tones


class Guest:
    """A whole aiortc peer on stage that plays one tone and hears the others."""

    def __init__(self, servers: list[RTCIceServer], hz: int) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._tone = Tone(hz)
        self.ears: list[Ear] = []

    async def join(self, control: Client, room: str, name: str) -> None:
        self.connection.addTransceiver(self._tone, direction="sendrecv")
        self.connection.addTransceiver("audio", direction="recvonly")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        await control.room_create(room=room)
        joined = await control.participant_join(
            room=room,
            participant=name,
            role=Role.SPEAKER,
            offer=self.connection.localDescription.sdp,
        )
        answer = RTCSessionDescription(sdp=joined.answer, type="answer")
        await self.connection.setRemoteDescription(answer)
        self.ears = [Ear(one.receiver.track) for one in self.connection.getTransceivers()]

    async def heard(self) -> set[int]:
        """The tones it decodes now."""
        return tones(self.ears)

    async def is_connected(self) -> bool:
        """Whether ICE and DTLS have succeeded."""
        return self.connection.connectionState == "connected"

    async def close(self) -> None:
        for ear in self.ears:
            ear.task.cancel()
        await self.connection.close()
