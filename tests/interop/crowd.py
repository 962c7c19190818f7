"""Peers in a room: speakers who send tones on one clock, listeners who write down what they get."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiortc.rtp import RtpPacket

from control import Client
from control.types import Role
from deploy.club.peer import Peer, PeerOptions
from deploy.club.voices import SILENCE_PACKET

FRAME_S = 0.02
# As many as a peer offers to hear.
SLOTS = PeerOptions().slots


@dataclass(frozen=True, slots=True)
class Heard:
    """One packet as a participant got it."""

    at: float
    ssrc: int
    sequence: int
    csrc: int
    payload: bytes


@dataclass(slots=True)
class Guest:
    """A participant with its peer. What `voice` yields is sent every 20 ms while `talks`."""

    id: str
    number: int
    peer: Peer
    voice: Iterator[bytes] = field(default_factory=lambda: iter(()))
    level: int | None = None
    talks: bool = False
    sent: list[bytes] = field(default_factory=list)
    first_sent_at: float | None = None
    heard: list[Heard] = field(default_factory=list)

    def talk(self, payloads: Iterable[bytes], level: int | None) -> None:
        """Send these packets from the next tick on, claiming `level` (None: no extension)."""
        self.voice = iter(payloads)
        self.level = level
        self.talks = True

    def tick(self, now: float) -> None:
        """One 20 ms frame, or nothing."""
        if not self.talks:
            self.peer.skip_frames(1)
            return
        payload = next(self.voice, None)
        if payload is None:
            self.talks = False
            return
        if self.first_sent_at is None:
            self.first_sent_at = now
        self.sent.append(payload)
        self.peer.send(payload, level=self.level, marker=len(self.sent) == 1)

    def note(self, packet: RtpPacket) -> None:
        """Write down a received packet."""
        csrc = packet.csrc[0] if packet.csrc else 0
        at = self.peer.arrived_at
        self.heard.append(Heard(at, packet.ssrc, packet.sequence_number, csrc, packet.payload))

    def voices(self) -> dict[int, list[bytes]]:
        """Sound heard so far, by the number of who spoke; the silence of idle slots left out."""
        result: dict[int, list[bytes]] = defaultdict(list)
        for item in self.heard:
            if item.csrc and item.payload != SILENCE_PACKET:
                result[item.csrc].append(item.payload)
        return dict(result)


class Crowd:
    """Guests of one room; leaving the `async with` closes all of them."""

    def __init__(self, control: Client, room: str, slots: int = SLOTS) -> None:
        self.control = control
        self.room = room
        self._slots = slots
        self.guests: list[Guest] = []
        self._ticking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.control.room_create(room=self.room, slots=self._slots)
        self._ticking = asyncio.create_task(self._tick_for_ever())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        await asyncio.gather(*(guest.peer.close() for guest in self.guests))
        await self.control.room_close(room=self.room)

    async def join(
        self, participant: str, role: Role = Role.LISTENER, options: PeerOptions | None = None
    ) -> Guest:
        """A connected guest."""
        peer = Peer(options)
        joined = await self.control.participant_join(
            room=self.room, participant=participant, role=role, offer=peer.offer
        )
        guest = Guest(participant, joined.participant.number, peer)
        peer.on_packet = guest.note
        self.guests.append(guest)
        await peer.connect(joined.answer)
        return guest

    async def join_many(self, count: int, prefix: str = "listener") -> list[Guest]:
        """Listeners, a few handshakes at a time."""
        gate = asyncio.Semaphore(8)

        async def join(index: int) -> Guest:
            async with gate:
                return await self.join(f"{prefix}-{index}")

        return list(await asyncio.gather(*(join(index) for index in range(count))))

    async def _tick_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time()
        while True:
            for guest in self.guests:
                guest.tick(deadline)
            deadline += FRAME_S
            await asyncio.sleep(deadline - loop.time())
