"""The compiled forwarder and its oracle side by side: each operation on both, all compared."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from sfu.fast import Batch, Forwarder, Gap
from tests.fast.oracle import OracleForwarder
from tests.fast.oracle_red import Block, build_red
from tests.fast.peer import FRAME_TICKS, PAYLOAD_TYPE, Peer, extension_block, rtp


class Both(tuple[int, int]):
    """One row's id in the compiled forwarder and in the oracle."""


class Voice:
    """What a source says next; `chaos` decides what goes wrong on the way."""

    def __init__(self, ssrc: int, level_extension: int, *, speaks_red: bool) -> None:
        self.ssrc = ssrc
        self.speaks_red = speaks_red
        self.said: list[tuple[int, bytes]] = []  # timestamps and payloads of the newest packets
        self.level_extension = level_extension
        self.sequence = 500
        self.timestamp = 10_000
        self.held: list[bytes] = []
        self.last = b""


class Pair:
    """A compiled forwarder and an oracle that must not be told apart."""

    def __init__(self) -> None:
        self.fast = Forwarder()
        self.oracle = OracleForwarder()
        self.now = 100.0
        self.peers: dict[Both, Peer] = {}
        self.sources: dict[Both, tuple[Both, Voice]] = {}
        self.slots: list[Both] = []
        self.streams: dict[Both, Both] = {}  # the slot of each stream
        self.egresses: dict[Both, Both] = {}
        self.peer_count = 0
        self.source_count = 0
        self.listeners: dict[bytes, Peer] = {}
        self.heard: set[bytes] = set()
        self.newest: dict[bytes, int] = {}  # sequence number by SSRC
        self.ssrcs: dict[Both, bytes] = {}

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """The same method on both, with each one's own ids; they answer or refuse alike."""
        answers: list[Any] = []
        raised: list[type[Exception] | None] = []
        for side, forwarder in enumerate((self.fast, self.oracle)):
            own = [a[side] if isinstance(a, Both) else a for a in args]
            try:
                answers.append(getattr(forwarder, method)(*own, **kwargs))
                raised.append(None)
            except (KeyError, ValueError) as error:
                raised.append(type(error))
        assert raised[0] is raised[1], (method, raised)
        return Both(answers)

    # Rows ---------------------------------------------------------------------------------------

    def add_transport(self, *, keys: bool = True, route: bool = True) -> None:
        """A client, usually ready for media."""
        self.peer_count += 1
        peer = Peer(self.peer_count)
        transport = self.call("add_transport")
        if keys:
            self.fast.set_keys(transport[0], *peer.server_sessions())
            self.oracle.set_keys(transport[1], *peer.server_sessions())
        self.call("allow", transport, peer.address)
        if route:
            self.call("route", transport, peer.address)
        self.peers[transport] = peer

    def remove_transport(self, transport: Both) -> None:
        """A client goes, with all it had."""
        self.call("remove_transport", transport)
        del self.peers[transport]
        self.sources = {s: row for s, row in self.sources.items() if row[0] != transport}
        self.egresses = {e: owner for e, owner in self.egresses.items() if owner != transport}

    def add_source(
        self,
        transport: Both,
        *,
        level_extension: int,
        echo_group: int,
        ssrc: int,
        red: int = 0,
        repeats: bool = False,
    ) -> Both:
        """The one track of a client that has none yet; `red` is its payload type of RED."""
        self.source_count += 1
        voice = Voice(0x10000 * self.source_count, level_extension, speaks_red=red > 0)
        source: Both = self.call(
            "add_source",
            transport,
            csrc=self.peers[transport].number,
            echo_group=echo_group,
            payload_type=PAYLOAD_TYPE,
            red_payload_type=red,
            level_extension=level_extension,
            ssrc=voice.ssrc if ssrc else 0,
            repeats=repeats,
        )
        self.sources[source] = (transport, voice)
        return source

    def remove_source(self, source: Both) -> None:
        """A client's track goes."""
        self.call("remove_source", source)
        del self.sources[source]

    def add_slot(self, *, lean: bool = False, tapped: bool = False) -> None:
        """A slot, and its plain stream."""
        slot = self.call("add_slot", lean=lean)
        self.call("tap", slot, tapped)
        self.slots.append(slot)
        self.stream_of(slot)

    def stream_of(self, slot: Both, redundancy: int = 0, *, packed: bool = False) -> Both:
        """One of the slot's streams, from the first use on."""
        stream: Both = self.call("slot_stream", slot, redundancy, packed=packed)
        self.streams[stream] = slot
        return stream

    def remove_slot(self, slot: Both) -> None:
        """A slot goes, its streams with it."""
        self.call("remove_slot", slot)
        self.slots.remove(slot)
        self.streams = {stream: own for stream, own in self.streams.items() if own != slot}

    def add_egress(self, transport: Both, **settings: Any) -> Both:
        """An output track."""
        egress: Both = self.call("add_egress", transport, **settings)
        self.egresses[egress] = transport
        self.ssrcs[egress] = settings["ssrc"].to_bytes(4, "big")
        self.listeners[self.ssrcs[egress]] = self.peers[transport]
        return egress

    def stream_of_egress(self, egress: Both) -> Both | None:
        """What an output track carries."""
        stream = Both((self.fast.egress_stream(egress[0]), self.oracle.egress_stream(egress[1])))
        assert stream == (-1, -1) or stream in self.streams
        return None if stream == (-1, -1) else stream

    def newest_sequence(self, egress: Both) -> int:
        """Of what an output track has sent; 0 before the first packet."""
        return self.newest.get(self.ssrcs[egress], 0)

    def remove_egress(self, egress: Both) -> None:
        """An output track goes."""
        self.call("remove_egress", egress)
        del self.egresses[egress]

    # Media --------------------------------------------------------------------------------------

    def receive(self, datagrams: Iterable[tuple[bytes, bytes]], outbox_size: int = 16) -> None:
        """One batch into both, then everything out of both."""
        inbox = Batch(256, 524_288)
        for data, address in datagrams:
            inbox.append(data, address)
        self.call("receive", inbox, self.now)
        self.compare_output(outbox_size)
        fast, oracle = self.fast.slow(), self.oracle.slow()
        assert [(s.kind, s.address, s.data) for s in fast] == [
            (s.kind, s.address, s.data) for s in oracle
        ]
        assert [self._fast_transport(s.transport) for s in oracle] == [s.transport for s in fast]

    def _fast_transport(self, oracle_id: int) -> int:
        return next((fast for fast, oracle in self.peers if oracle == oracle_id), -1)

    def challenges(self) -> list[tuple[Both, Both]]:
        """(source, handle) of each challenge of the batch, after comparing them."""
        fast, oracle = self.fast.challenges(), self.oracle.challenges()
        assert len(fast) == len(oracle)
        taken = []
        for left, right in zip(fast, oracle, strict=True):
            source = Both((left.source, right.source))
            assert source in self.sources
            assert left.level == right.level
            taken.append((source, Both((left.handle, right.handle))))
        return taken

    def gaps(self) -> list[tuple[Both, Gap]]:
        """What is told to be missing, after comparing it."""
        fast, oracle = (sorted(side.gaps(), key=_ssrc) for side in (self.fast, self.oracle))
        assert [gap[1:] for gap in fast] == [gap[1:] for gap in oracle]
        sources = [Both((a.source, b.source)) for a, b in zip(fast, oracle, strict=True)]
        assert all(source in self.sources for source in sources)
        return list(zip(sources, fast, strict=True))

    def compare_output(self, outbox_size: int = 16) -> None:
        """The same datagrams on each egress, byte for byte and in order; all can be opened."""
        sent = _drain(self.oracle, 256)
        assert _drain(self.fast, outbox_size) == sent
        for (_, ssrc), datagrams in sent.items():
            for data in datagrams:
                # Two texts under one number would be a replay to the listener's session.
                if data not in self.heard:
                    self.listeners[ssrc].hear(data)
                    self.heard.add(data)
                    self.newest[ssrc] = int.from_bytes(data[2:4], "big")

    def compare_state(self) -> None:
        """Counters, sizes, levels and statistics agree."""
        assert self.fast.counters() == self.oracle.counters()
        assert self.fast.sizes() == self.oracle.sizes()
        self._compare_taken()
        assert self.fast.next_flush() == self.oracle.next_flush()
        assert self.fast.behind(self.now) == [], "a healthy forwarder leaves nobody out"
        for fast, oracle in self.sources:
            assert self.fast.source_stats(fast) == self.oracle.source_stats(oracle)
            _close(self.fast.level(fast, self.now), self.oracle.level(oracle, self.now))
        levels = self.fast.levels([fast for fast, _ in self.sources], self.now)
        expected = self.oracle.levels([oracle for _, oracle in self.sources], self.now)
        assert len(levels) == len(expected)
        for mine, theirs in zip(levels, expected, strict=True):
            _close(mine, theirs)
        for fast, oracle in self.egresses:
            _close(self.fast.egress_stats(fast), self.oracle.egress_stats(oracle))
            self.stream_of_egress(Both((fast, oracle)))

    def _compare_taken(self) -> None:
        fast, oracle = self.fast.taken(), self.oracle.taken()
        assert [one[2:] for one in fast] == [one[2:] for one in oracle]
        for mine, theirs in zip(fast, oracle, strict=True):
            assert Both((mine.slot, theirs.slot)) in self.slots
            source = Both((mine.source, theirs.source))
            assert source in self.sources or source == (-1, -1)


def _drain(
    forwarder: Forwarder | OracleForwarder, size: int
) -> dict[tuple[bytes, bytes], list[bytes]]:
    """What comes out, for each address and SSRC."""
    outbox = Batch(size, 2048 * size)
    sent: dict[tuple[bytes, bytes], list[bytes]] = defaultdict(list)
    more = True
    while more:
        outbox.clear()
        more = forwarder.drain(outbox)
        assert len(outbox) or not more, "a drain that is not done makes progress"
        for data, address in outbox:
            sent[address, data[8:12]].append(data)
    return dict(sent)


def _ssrc(gap: Gap) -> int:
    return gap.ssrc


def _close(left: tuple[Any, ...], right: tuple[Any, ...]) -> None:
    for mine, other in zip(left, right, strict=True):
        same = mine == other or math.isclose(mine, other, rel_tol=0, abs_tol=1e-3)
        assert same, (left, right)


RED_PAYLOAD_TYPE = 63
RED_BYTES_MAX = 1_300  # what the sessions of the oracle take


def _red(
    voice: Voice, before: list[tuple[int, bytes]], payload: bytes, rng: random.Random
) -> bytes:
    """`payload` behind copies of what was said before; sometimes too many, strange or cut off."""
    depth = rng.choice((0, 1, 2, 2, 2, 3, 4, 5))
    blocks = [
        Block((voice.timestamp - timestamp) % 2**14, said[:1023])
        for timestamp, said in before[max(0, len(before) - depth) :]
    ]
    while sum(4 + len(block.payload) for block in blocks) + len(payload) > RED_BYTES_MAX:
        blocks.pop(0)
        payload = payload[:RED_BYTES_MAX]
    fate = rng.random()
    if fate < 0.05:
        rng.shuffle(blocks)
    elif fate < 0.10:
        blocks = [Block(rng.choice((0, 1, 960, 1920, 3000)), piece) for _, piece in blocks]
    data = build_red(PAYLOAD_TYPE if fate < 0.97 else 110, [*blocks, Block(0, payload)])
    return data[: rng.randrange(len(data))] if 0.10 < fate < 0.14 else data


LEVELS = (0, 5, 20, 30, 50, 51, 60, 90, 126, 127)
# TOC bytes with bodies that are, and are not, Opus: code 0 of 2.5 to 60 ms, CBR, VBR, code 3.
PAYLOADS: tuple[Callable[[random.Random], bytes], ...] = (
    lambda rng: b"\x78" + rng.randbytes(rng.choice((0, 3, 9, 10, 79))),
    lambda rng: bytes([rng.choice((0x18, 0x08, 0x80, 0x88, 0x90, 0xF8))]) + rng.randbytes(40),
    lambda rng: bytes([0x79]) + rng.randbytes(40),
    lambda rng: bytes([0x79]) + rng.randbytes(41),
    lambda rng: bytes([0x7A, 20]) + rng.randbytes(rng.choice((19, 20, 50))),
    lambda rng: bytes([0x7B, rng.choice((0, 2, 3, 6, 7))]) + rng.randbytes(rng.choice((36, 37))),
    lambda rng: bytes([0x7B, 0x80 | 3, 10, 12]) + rng.randbytes(40),
    lambda rng: bytes([0x7B, 0x40 | 2, 5]) + rng.randbytes(45),
    lambda rng: rng.randbytes(rng.randrange(0, 30)),
    lambda rng: b"\x7b\x02" + bytes(rng.choice((400, 1_020, 1_022, 1_276))),
)


def next_plain(voice: Voice, rng: random.Random) -> bytes:
    """The next packet of a voice, before protection: mostly talk, sometimes anything."""
    voice.sequence += 1
    voice.timestamp += FRAME_TICKS
    odd = rng.random()
    if odd < 0.05:
        voice.sequence += rng.choice((1, 2, 40, 64, 65, 66, 200))
    elif odd < 0.10:
        voice.timestamp += rng.choice((-2000, -960, 960, 961, 4800, 23_500, 24_500, 60_000))
    make = PAYLOADS[0] if rng.random() < 0.7 else rng.choice(PAYLOADS)
    fields: dict[str, Any] = {"padding": rng.choice((0, 0, 0, 0, 0, 1, 7))}
    payload, payload_type = make(rng), PAYLOAD_TYPE if rng.random() < 0.98 else 0
    before, voice.said = voice.said, [*voice.said[-6:], (voice.timestamp, payload)]
    if voice.speaks_red and rng.random() < 0.9:
        payload, payload_type = _red(voice, before, payload, rng), RED_PAYLOAD_TYPE
    identifier = voice.level_extension
    if identifier and rng.random() < 0.9:
        level = rng.choice(LEVELS)
        two_byte = identifier > 14 or rng.random() < 0.2
        elements = [(identifier, bytes([rng.choice((0, 0x80)) | level]))]
        if rng.random() < 0.3:
            elements.insert(rng.randrange(2), (9, b"xyz"))
        fields["extension"] = extension_block(elements, two_byte=two_byte)
    return rtp(
        voice.sequence,
        voice.timestamp,
        payload,
        ssrc=voice.ssrc,
        marker=rng.random() < 0.1,
        payload_type=payload_type,
        csrcs=(7, 8) if rng.random() < 0.1 else (),
        **fields,
    )


def on_the_way(voice: Voice, data: bytes, rng: random.Random) -> list[bytes]:
    """What arrives of a protected packet: itself, nothing, itself later, twice, or broken."""
    fate = rng.random()
    if fate < 0.70:
        arrived = [data]
    elif fate < 0.78:
        arrived = []
    elif fate < 0.86:
        voice.held.append(data)
        arrived = []
    elif fate < 0.90:
        arrived = [data, data]
    elif fate < 0.93:
        arrived = [_broken(data, rng)]
    elif fate < 0.95:
        arrived = [data, voice.last] if voice.last else [data]
    else:
        arrived = [data, *voice.held]
        voice.held = []
    voice.last = data
    return arrived


def _broken(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        return data[: rng.randrange(len(data))]
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
