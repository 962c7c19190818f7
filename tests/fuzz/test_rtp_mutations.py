"""Whatever arrives in place of RTP: nothing is raised, and nobody else notices.

A healthy talker and its listener share the forwarder with a client that sends broken packets. Each
broken packet goes in twice: as it is, for the parsers, and with valid protection, for what lies
behind the cipher.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from pylibsrtp import Error as SrtpError

from sfu.fast import Batch, Forwarder
from tests.fast.peer import (
    TALK,
    Listener,
    Talker,
    address_of,
    drained,
    extension_block,
    level_block,
    rtp,
)

MUTATIONS = 10_000
BATCH = 50
FRAME_S = 0.02
SRTP_BYTES_MAX = 1_356  # what the client's session takes


class Room:
    """A healthy pair, and a client that speaks nonsense into a slot of its own."""

    def __init__(self, level_extension: int) -> None:
        self.forwarder = Forwarder()
        self.now = 5.0
        self.talker = Talker(1, self.forwarder)
        self.listener = Listener(2, self.forwarder, level_extension=3, mid_extension=4, mid=b"0")
        self.nuisance = Talker(3, self.forwarder, level_extension=level_extension)
        self.victim = Listener(4, self.forwarder, level_extension=15)
        for talker, listener in ((self.talker, self.listener), (self.nuisance, self.victim)):
            slot = self.forwarder.add_slot()
            self.forwarder.assign(slot, talker.source, self.now)
            self.forwarder.subscribe(listener.egress, self.forwarder.slot_stream(slot))
        self.expected = 100
        self.inbox, self.outbox = Batch(), Batch(7, 2 * 2_048)

    def suffer(self, broken: list[bytes]) -> None:
        """A batch of broken packets around a good one, which comes out as if it were alone."""
        self.now += 1.0  # the rate limit is not what is tested here
        self.inbox.clear()
        good = self.talker.talk(TALK)
        for number, data in enumerate(broken):
            if number == len(broken) // 2:
                assert self.inbox.append(good, self.talker.address)
            assert self.inbox.append(data, self.nuisance.address)
        assert broken, "a batch of nothing proves nothing"
        self.forwarder.receive(self.inbox, self.now)
        sent = drained(self.forwarder, self.outbox)
        self.forwarder.slow()
        self.forwarder.challenges()
        [data] = [data for data, address in sent if address == self.listener.address]
        heard = self.listener.hear(data)
        assert heard.payload == TALK
        assert heard.csrcs == (1,)
        assert heard.sequence == self.expected
        self.expected += 1
        for data, address in sent:
            if address == self.victim.address:
                assert self.victim.hear(data).csrcs == (3,)
            assert address in (self.listener.address, self.victim.address)


def samples() -> list[bytes]:
    """Plain packets that between them use all that the parsers know."""
    vbr = b"\x7b\x83\x0a\x0c" + bytes(30)
    padded_cbr = b"\x7b\x42\x05" + bytes(45)
    two_byte = extension_block([(200, b"\x94"), (4, b""), (9, b"x" * 40)], two_byte=True)
    one_byte = extension_block([(9, b"xyz"), (1, b"\x94"), (4, b"mid")])
    return [
        rtp(0, 0, extension=level_block(20)),
        rtp(0, 0, TALK, extension=one_byte, csrcs=(1, 2, 3), marker=True),
        rtp(0, 0, vbr, extension=two_byte),
        rtp(0, 0, padded_cbr, padding=13),
        rtp(0, 0, b"\x7a\xfc\x03" + bytes(290), csrcs=tuple(range(15))),
        rtp(0, 0, b"", padding=1),
        rtp(0, 0, b"\x79" + bytes(1_000)),
    ]


def truncations() -> Iterator[bytes]:
    """Every beginning of every sample."""
    for sample in samples():
        for length in range(len(sample)):
            yield sample[:length]


def mutations(count: int) -> Iterator[bytes]:
    """Samples with bits flipped, bytes replaced, pieces cut out, doubled or put in."""
    rng = random.Random(20)
    originals = samples()
    for _ in range(count):
        data = bytearray(rng.choice(originals))
        for _ in range(rng.randint(1, 4)):
            _mutate(data, rng)
        yield bytes(data[: SRTP_BYTES_MAX - 16])


def _mutate(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(min(len(data), 80)) if data and rng.random() < 0.8 else 0
    kind = rng.randrange(6)
    if kind == 0 and data:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1 and data:
        data[at] = rng.choice((0, 1, 15, 16, 127, 128, 251, 252, 254, 255, rng.randrange(256)))
    elif kind == 2:
        del data[at : at + rng.randint(1, 20)]
    elif kind == 3:
        data[at:at] = data[at : at + rng.randint(1, 20)]
    elif kind == 4:
        data[at:at] = rng.randbytes(rng.randint(1, 8))
    elif len(data) > 4:
        data[0:4] = bytes([data[0], data[1] & 0x7F, *rng.randbytes(2)])


def _protected(room: Room, plain: bytes) -> bytes | None:
    """`plain` with the nuisance's next number and valid protection; None where SRTP refuses it."""
    nuisance = room.nuisance
    nuisance.sequence += 1
    if len(plain) < 12:
        return None
    head = bytes([plain[0] & 0x3F | 0x80, plain[1] & 0x80 | 111])
    number = (nuisance.sequence % 2**16).to_bytes(2, "big")
    try:
        return nuisance.say(
            head + number + plain[4:8] + nuisance.ssrc.to_bytes(4, "big") + plain[12:]
        )
    except SrtpError:
        return None


def _in_batches(broken: Iterator[bytes], room: Room) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for plain in broken:
        protected = _protected(room, plain)
        batch += [plain] if protected is None else [plain, protected]
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


@pytest.mark.parametrize("level_extension", [0, 1, 200])
def test_every_truncation_is_survived(level_extension: int) -> None:
    """Every packet may end anywhere."""
    room = Room(level_extension)
    for batch in _in_batches(truncations(), room):
        room.suffer(batch)
    assert room.forwarder.counters()["dropped_malformed"] > 100


@pytest.mark.parametrize("level_extension", [1, 200])
def test_ten_thousand_mutations_are_survived(level_extension: int) -> None:
    """Seeded, so that a failure repeats."""
    room = Room(level_extension)
    for batch in _in_batches(mutations(MUTATIONS), room):
        room.suffer(batch)
    counters = room.forwarder.counters()
    assert counters["forwarded"] > room.expected - 100, "some mutations are still packets"
    for reason in ("malformed", "payload_type", "opus", "empty", "auth"):
        assert counters[f"dropped_{reason}"] > 10, reason
    assert counters["protect_errors"] == 0


def test_every_truncation_and_bit_flip_of_a_protected_packet_is_refused() -> None:
    """Nothing that was changed after protection gets through."""
    room = Room(1)
    data = room.nuisance.talk(TALK)
    changed = [data[:length] for length in range(len(data))]
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        changed.append(bytes(flipped))
    for first in range(0, len(changed), BATCH):
        room.suffer(changed[first : first + BATCH])
    assert room.forwarder.counters()["forwarded"] == room.expected - 100


def test_noise_of_every_kind_and_length_is_survived() -> None:
    """Random bytes behind every first byte, from a stranger and from a known address."""
    room = Room(1)
    rng = random.Random(21)
    for first in range(256):
        noise = [bytes([first]) + rng.randbytes(length) for length in range(0, 2_047, 41)]
        room.suffer(noise)
        room.inbox.clear()
        for data in noise:
            assert room.inbox.append(data, address_of(999))
        room.forwarder.receive(room.inbox, room.now)
        assert not drained(room.forwarder, room.outbox)
        assert all(record.kind == 0 for record in room.forwarder.slow())
