"""A room in which everything happens at once: for what must hold whatever happens."""

from __future__ import annotations

import random
from collections.abc import Callable

from sfu.fast import Batch, Forwarder
from tests.fast.oracle_red import Block, build_red
from tests.fast.peer import PAYLOAD_TYPE, Listener, Talker, batch_of, drained, level_block, rtp

RED = 63
SLOTS = 3
LATEST = 70  # packets that one may come late: more than anything remembers


class RedTalker(Talker):
    """Says packets with up to four copies of what it said before; keeps some back on the way."""

    def __init__(self, number: int, forwarder: Forwarder) -> None:
        super().__init__(number, forwarder, red_payload_type=RED)
        self.said: list[tuple[int, bytes]] = []
        self.kept_back: list[bytes] = []

    def next(self, rng: random.Random, depth: int) -> bytes:
        """The next packet, protected: RED with `depth` copies, -1 for plain."""
        payload = b"\x78" + rng.randbytes(rng.choice((5, 40, 60, 79, 250)))
        blocks = [
            Block(self.timestamp - at, one) for at, one in self.said[len(self.said) - depth :]
        ]
        self.said = [*self.said[-4:], (self.timestamp, payload)]
        if depth < 0:
            return self.talk(payload)
        data = build_red(PAYLOAD_TYPE, [*blocks, Block(0, payload)])
        if rng.random() < 0.02:
            data = data[: rng.randrange(len(data))]
        return self.talk(data, payload_type=RED)

    def leap(self, packets: int) -> None:
        """Go on as if `packets` had been sent and lost."""
        self.sequence += packets
        self.timestamp += 960 * packets

    def old(self, back: int) -> bytes:
        """A packet that was never sent when it was due, with another text."""
        sequence, timestamp = self.sequence - back, self.timestamp - 960 * back
        text = b"\x78" + back.to_bytes(2, "big") * 20
        return self.say(rtp(sequence, timestamp, text, ssrc=self.ssrc, extension=level_block(20)))


class CrowdedRoom:
    """Talkers, slots and listeners of one audience; every method but the last is an event."""

    def __init__(self, rng: random.Random, *, segmented: bool) -> None:
        self.rng = rng
        self.now = 30.0
        self.forwarder = Forwarder()
        self.audience = self.forwarder.add_audience()
        self.forwarder.set_segmented(self.audience, segmented)
        self.talkers = [RedTalker(number, self.forwarder) for number in range(1, 6)]
        self.slots = [self.forwarder.add_slot(self.audience) for _ in range(SLOTS)]
        self.egresses: dict[int, int] = {}  # by SSRC
        self.listeners = [self._listener(number) for number in range(10, 14)]
        self.first: dict[tuple[bytes, bytes], bytes] = {}  # ciphertext by SSRC and sequence number
        self.newest: dict[int, int] = {}
        self.again = 0
        for slot, talker in zip(self.slots, self.talkers, strict=False):
            self.forwarder.assign(slot, talker.source, self.now)
        for egress in self.egresses.values():
            self.forwarder.subscribe(egress, self._stream())

    def _listener(self, number: int) -> Listener:
        listener = Listener(
            number, self.forwarder, red_payload_type=RED, repeats=True, level_extension=1
        )
        self.egresses[0x9000 + number] = listener.egress
        for line in range(1, SLOTS):
            ssrc = 0x9000 + number + 0x100 * line
            self.egresses[ssrc] = self.forwarder.add_egress(
                listener.transport,
                ssrc=ssrc,
                payload_type=96,
                first_sequence=1,
                first_timestamp=0,
                echo_group=number,
                red_payload_type=RED + 1,
                repeats=True,
            )
        return listener

    def _stream(self) -> int:
        return self.forwarder.slot_stream(self.rng.choice(self.slots), self.rng.randrange(3))

    def talk(self) -> None:
        """Somebody says something; it comes, is lost, or comes much later with another text."""
        talker = self.rng.choice(self.talkers)
        data = talker.next(self.rng, self.rng.choice((-1, 0, 1, 2, 2, 3, 4)))
        fate = self.rng.random()
        arrivals = [data] if fate < 0.75 else []
        if 0.75 <= fate < 0.9:
            talker.kept_back.append(data)
        elif fate > 0.95 and talker.kept_back:
            arrivals.append(talker.kept_back.pop(self.rng.randrange(len(talker.kept_back))))
        self.now += self.rng.choice((0.0, 0.004, 0.007))
        self.receive(*((one, talker.address) for one in arrivals))

    def leap(self) -> None:
        """An uplink loses a lot, then something of it comes after all."""
        talker = self.rng.choice(self.talkers)
        talker.leap(self.rng.choice((1, 2, 3, 30, 59, 64, LATEST)))
        self.receive((talker.next(self.rng, 3), talker.address))
        for back in self.rng.sample(range(1, LATEST), 5):
            self.receive((talker.old(back + 1), talker.address))

    def resend(self) -> None:
        """Everybody asks for some of what came lately."""
        for egress, newest in self.newest.items():
            asked = [(newest - self.rng.randrange(16)) % 2**16 for _ in range(4)]
            self.forwarder.resend(egress, asked, self.now)
            self.collect()

    def switch(self) -> None:
        """A listener takes another form, another slot, or nothing for a while."""
        egress = self.rng.choice(list(self.egresses.values()))
        self.forwarder.subscribe(egress, -1 if self.rng.random() < 0.1 else self._stream())

    def assign(self) -> None:
        """A slot changes hands."""
        slot, talker = self.rng.choice(self.slots), self.rng.choice(self.talkers)
        try:
            self.forwarder.assign(slot, talker.source, self.now)
        except ValueError:
            self.forwarder.assign(slot, -1, self.now)

    def push(self) -> None:
        """Silence that was made here."""
        self.forwarder.push(self._stream(), b"\xf8\xff\xfe", self.now)
        self.collect()

    def rebuild_slot(self) -> None:
        """A slot goes and another takes its row; its listeners come back."""
        at = self.rng.randrange(SLOTS)
        self.forwarder.remove_slot(self.slots[at])
        self.slots[at] = self.forwarder.add_slot(self.audience)
        for egress in self.egresses.values():
            if self.forwarder.egress_stream(egress) < 0:
                self.forwarder.subscribe(egress, self._stream())

    def lose_route(self) -> None:
        """A listener cannot be reached for a packet or two."""
        listener = self.rng.choice(self.listeners)
        self.forwarder.revoke(listener.address)
        self.talk()
        self.forwarder.allow(listener.transport, listener.address)
        self.forwarder.route(listener.transport, listener.address)

    def mute(self) -> None:
        """A microphone is off, then on."""
        talker = self.rng.choice(self.talkers)
        self.forwarder.set_audible(talker.source, False)
        self.talk()
        self.forwarder.set_audible(talker.source, True)

    def toggle(self) -> None:
        """Segmented or not, from now on."""
        self.forwarder.set_segmented(self.audience, self.rng.random() < 0.7)
        self.collect()

    def wait(self) -> None:
        """What is held is due."""
        self.now += self.rng.choice((0.02, 0.02, 0.3))
        self.forwarder.flush(self.now)
        self.collect()

    def receive(self, *datagrams: tuple[bytes, bytes]) -> None:
        """One batch in, everything out."""
        self.forwarder.receive(batch_of(*datagrams), self.now)
        self.collect()

    def collect(self) -> None:
        """Nothing that goes out differs from what went out before under its number."""
        for data, _ in drained(self.forwarder, Batch(self.rng.choice((1, 2, 64)), 131_072)):
            number = data[8:12], data[2:4]
            self.again += number in self.first
            assert self.first.setdefault(number, data) == data, "two texts under one number"
            ssrc = int.from_bytes(data[8:12], "big")
            self.newest[self.egresses[ssrc]] = int.from_bytes(data[2:4], "big")


EVENTS: list[Callable[[CrowdedRoom], None]] = [
    *[CrowdedRoom.talk] * 60,
    *[CrowdedRoom.wait] * 5,
    *[CrowdedRoom.resend] * 12,
    *[CrowdedRoom.switch] * 5,
    *[CrowdedRoom.leap] * 2,
    CrowdedRoom.assign,
    CrowdedRoom.push,
    CrowdedRoom.rebuild_slot,
    CrowdedRoom.lose_route,
    CrowdedRoom.mute,
    CrowdedRoom.toggle,
]
