"""A room on the compiled forwarder, with real SRTP, driven packet by packet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from control.commands import SubscriptionUpdate
from control.types import LeaveReason
from sfu.fast import Batch, Forwarder
from sfu.stage import NO_SOURCE, SILENCE, Participant, Room, RoomSettings
from tests.fast.peer import (
    FRAME_TICKS,
    LEVEL_ID,
    PAYLOAD_TYPE,
    TALK,
    Heard,
    Peer,
    level_block,
    rtp,
    take_apart,
)
from tests.stage.harness import joining

STEP_S = 0.02
# Stands for the CSRC of silence that a room makes: such a packet has none.
NOBODY = 0
RED_PAYLOAD_TYPE = 64


class Person(Peer):
    """A client in the room: one microphone, some m-lines that take RED."""

    def __init__(self, stage: RealStage, name: str, role: str, lines: int, group: str | None):
        admission = stage.room.admit(joining(name, role, echo_group=group), stage.now)
        super().__init__(admission.number)
        self.room = stage.room
        self.transport = self.join(stage.forwarder)
        source = stage.forwarder.add_source(
            self.transport,
            csrc=admission.number,
            echo_group=admission.echo_group,
            payload_type=PAYLOAD_TYPE,
            level_extension=LEVEL_ID,
        )
        egresses = [
            stage.forwarder.add_egress(
                self.transport,
                ssrc=admission.number * 16 + line,
                payload_type=PAYLOAD_TYPE,
                first_sequence=1 + line,
                first_timestamp=0,
                echo_group=admission.echo_group,
                red_payload_type=RED_PAYLOAD_TYPE,
            )
            for line in range(lines)
        ]
        self.participant: Participant = stage.room.add(
            admission, source=source, egresses=egresses, red_egresses=egresses, now=stage.now
        )
        assert self.participant.source != NO_SOURCE
        self.sequence = 1000
        self.timestamp = 0
        self.payload = TALK[:-2] + self.number.to_bytes(2, "big")  # of what it says next

    def hear(self, data: bytes) -> Heard:
        """Open a datagram; those of one tick may be padded to one length."""
        plain = self._down.unprotect(data)
        padding = plain[-1] if plain[0] & 0x20 else 0
        return take_apart(bytes([plain[0] & ~0x20]) + plain[1 : len(plain) - padding])

    def packet(self, level: int) -> tuple[bytes, bytes]:
        self.sequence += 1
        self.timestamp += FRAME_TICKS
        plain = rtp(
            self.sequence,
            self.timestamp,
            self.payload,
            ssrc=0x5000 + self.number,
            extension=level_block(level),
        )
        return self.say(plain), self.address


class RealStage:
    """The worker's part: datagrams and challenges, 20 ms at a time."""

    def __init__(self, settings: RoomSettings | None = None) -> None:
        self.now = 1.0
        self.forwarder = Forwarder()
        self.room = Room(
            "room", settings or RoomSettings(), self.forwarder, now=self.now, wall_at_zero=0.0
        )
        self.rooms = [self.room]
        self.people: dict[str, Person] = {}
        # Whom each number of a room was given to, also of those who left.
        self.names: dict[tuple[str, int], str] = {}
        # What came out last, taken apart, by listener.
        self.packets: dict[str, list[Heard]] = {}

    def join(
        self, name: str, role: str = "listener", *, lines: int = 3, group: str | None = None
    ) -> Person:
        person = self.people[name] = Person(self, name, role, lines, group)
        self.names[self.room.id, person.number] = name
        return person

    def ask(self, name: str, **wishes: Any) -> None:
        """`subscription.update`."""
        command = SubscriptionUpdate(room="room", participant=name, **wishes)
        self.room.subscriptions.update(command, self.now)

    def open_room(self, name: str) -> Room:
        """Another room on the same forwarder."""
        room = Room(name, RoomSettings(), self.forwarder, now=self.now, wall_at_zero=0.0)
        self.rooms.append(room)
        return room

    def move(self, name: str, room: Room) -> None:
        """`participant.move`."""
        person = self.people[name]
        admission = room.admit_moved(name, person.room, None, self.now)
        left = person.room.remove(name, LeaveReason.MOVED, self.now)
        self.forwarder.reidentify(
            person.transport, csrc=admission.number, echo_group=admission.echo_group
        )
        self.names[room.id, admission.number] = name
        person.room = room
        person.participant = room.add(
            admission,
            source=left.source,
            egresses=left.egresses,
            red_egresses=left.red_egresses,
            quality=left.quality,
            now=self.now,
        )

    def leave(self, name: str) -> None:
        self.people[name].room.remove(name, LeaveReason.CLIENT_LEFT, self.now)
        self.forwarder.remove_transport(self.people.pop(name).transport)

    def step(self, levels: Mapping[str, int]) -> dict[str, list[str]]:
        """20 ms later everybody in `levels` says one packet, see `say`."""
        self.now += STEP_S
        heard = self._say(levels)
        for room in self.rooms:
            room.tick(self.now)
            heard += self._silence(room)
        return self._by_listener(heard)

    def say(self, levels: Mapping[str, int]) -> dict[str, list[str]]:
        """One packet of everybody in `levels`; whom each listener heard, in order of m-lines."""
        return self._by_listener(self._say(levels))

    def _say(self, levels: Mapping[str, int]) -> list[tuple[bytes, bytes]]:
        inbox = Batch()
        for name, level in levels.items():
            assert inbox.append(*self.people[name].packet(level))
        self.forwarder.receive(inbox, self.now)
        heard = self._drain()
        for challenge in self.forwarder.challenges():
            if self._room_of(challenge.source).challenge(challenge, self.now):
                self.forwarder.accept(challenge.handle)
                heard += self._drain()
        return heard

    def _silence(self, room: Room) -> list[tuple[bytes, bytes]]:
        sent = []
        while (stream := room.tails.take(self.now)) is not None:
            self.forwarder.push(stream, SILENCE, self.now, yields=True)
            sent += self._drain()
        return sent

    def run(self, levels: Mapping[str, int], seconds: float) -> dict[str, list[str]]:
        """The last step's hearing."""
        heard: dict[str, list[str]] = {}
        for _ in range(round(seconds / STEP_S)):
            heard = self.step(levels)
        return heard

    def _room_of(self, source: int) -> Room:
        people = self.people.values()
        return next(person.room for person in people if person.participant.source == source)

    def _drain(self) -> list[tuple[bytes, bytes]]:
        outbox = Batch()
        assert not self.forwarder.drain(outbox)
        return list(outbox)

    def _by_listener(self, sent: list[tuple[bytes, bytes]]) -> dict[str, list[str]]:
        by_address = {person.address: (name, person) for name, person in self.people.items()}
        packets = self.packets = {name: [] for name in self.people}
        for data, address in sent:
            name, person = by_address[address]
            packets[name].append(person.hear(data))
        return {
            name: [
                self.names[self.people[name].room.id, packet.csrcs[0]]
                for packet in sorted(heard, key=lambda p: p.ssrc)
                if packet.csrcs
            ]
            for name, heard in packets.items()
        }
