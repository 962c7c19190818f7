"""The compiled forwarder and the oracle agree on everything that can be observed.

Hypothesis picks the operations and a seed for the details of each, so that a failure shrinks to few
operations and repeats exactly.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fast.pair import RED_PAYLOAD_TYPE, Both, Pair, next_plain, on_the_way
from tests.fast.peer import PAYLOAD_TYPE, address_of

TRANSPORTS_MAX = 6
SLOTS_MAX = 3
EGRESSES_MAX = 10
STRAY_HOSTS = range(0x400, 0x404)  # addresses that operations allow, route to and revoke
MID_ID = 4

T = TypeVar("T")


def _pick(rng: random.Random, rows: Iterable[T]) -> T | None:
    rows = list(rows)
    return rng.choice(rows) if rows else None


class Driver:
    """Random operations on a pair; each method is one, and does nothing where it makes no sense."""

    def __init__(self) -> None:
        self.pair = Pair()
        self.waiting: list[tuple[Both, Both]] = []
        self.egress_count = 0
        self._furnish(random.Random(0))

    def _furnish(self, rng: random.Random) -> None:
        """Three audible talkers, two of them with a slot, and a few listeners."""
        pair = self.pair
        for _ in range(4):
            pair.add_transport()
        for number, transport in enumerate(list(pair.peers)[:3]):
            pair.add_source(
                transport,
                level_extension=(1, 15, 0)[number],
                echo_group=number,
                ssrc=0,
                red=(RED_PAYLOAD_TYPE, 0, RED_PAYLOAD_TYPE)[number],
                repeats=number < 2,
            )
        for source in pair.sources:
            pair.call("set_audible", source, True)
        for source in list(pair.sources)[:2]:
            pair.add_slot(tapped=True)
            pair.call("assign", pair.slots[-1], source, pair.now)
        for _ in range(4):
            self.add_egress(rng)

    def add_transport(self, rng: random.Random) -> None:
        """A client comes; a few have no keys or no route yet."""
        if len(self.pair.peers) < TRANSPORTS_MAX:
            self.pair.add_transport(keys=rng.random() < 0.9, route=rng.random() < 0.9)

    def remove_transport(self, rng: random.Random) -> None:
        """A client goes."""
        if len(self.pair.peers) > 3:
            self.pair.remove_transport(rng.choice(list(self.pair.peers)))

    def add_source(self, rng: random.Random) -> None:
        """A client without a track gets one."""
        taken = [transport for transport, _ in self.pair.sources.values()]
        transport = _pick(rng, [t for t in self.pair.peers if t not in taken])
        if transport is not None:
            source = self.pair.add_source(
                transport,
                level_extension=rng.choice((0, 1, 3, 14, 15, 200)),
                echo_group=rng.randrange(4),
                ssrc=rng.randrange(2),
                red=rng.choice((0, RED_PAYLOAD_TYPE)),
                repeats=rng.random() < 0.7,
            )
            self.pair.call("set_audible", source, rng.random() < 0.8)

    def remove_source(self, rng: random.Random) -> None:
        """A track goes."""
        if len(self.pair.sources) > 2:
            self.pair.remove_source(rng.choice(list(self.pair.sources)))

    def set_audible(self, rng: random.Random) -> None:
        """Mute and unmute."""
        source = _pick(rng, self.pair.sources)
        if source is not None:
            self.pair.call("set_audible", source, rng.random() < 0.7)

    def measure(self, rng: random.Random) -> None:
        """Whoever decodes somebody tells how loud that is, or stops telling."""
        source = _pick(rng, self.pair.sources)
        if source is not None:
            level = rng.choice((None, 0, 20, 50, 51, 127))
            self.pair.call("set_measured_level", source, level)

    def resize_room(self, rng: random.Random) -> None:
        """A slot comes or goes."""
        if len(self.pair.slots) < SLOTS_MAX and rng.random() < 0.7:
            self.pair.add_slot(lean=rng.random() < 0.3, tapped=rng.random() < 0.5)
        elif self.pair.slots:
            self.pair.remove_slot(rng.choice(self.pair.slots))

    def assign(self, rng: random.Random) -> None:
        """Somebody, or nobody, gets a slot; who has one already is refused."""
        slot = _pick(rng, self.pair.slots)
        source = _pick(rng, self.pair.sources) if rng.random() < 0.8 else None
        if slot is not None:
            self.pair.call("assign", slot, -1 if source is None else source, self.pair.now)

    def add_egress(self, rng: random.Random) -> None:
        """An output track, at once on some stream."""
        transport = _pick(rng, self.pair.peers)
        if transport is None or len(self.pair.egresses) >= EGRESSES_MAX:
            return
        self.egress_count += 1
        egress = self.pair.add_egress(
            transport,
            ssrc=0x9000 + self.egress_count,
            payload_type=rng.choice((PAYLOAD_TYPE, 96)),
            first_sequence=rng.randint(1, 32_767),
            first_timestamp=rng.choice((0, 2**32 - 2_000, rng.randrange(2**32))),
            echo_group=rng.randrange(6),
            level_extension=rng.choice((0, 1, 14, 15, 255)),
            mid_extension=rng.choice((0, MID_ID)),
            mid=rng.choice((b"", b"0", b"audio", b"sixteen-bytes-16")),
            red_payload_type=rng.choice((0, RED_PAYLOAD_TYPE, 64)),
            repeats=rng.random() < 0.8,
            transport_cc_extension=rng.choice((0, 5, 200)),
        )
        stream = self._some_stream(rng)
        if stream is not None:
            self.pair.call("subscribe", egress, stream)

    def _some_stream(self, rng: random.Random) -> Both | None:
        """Plain or RED, of some slot."""
        slot = _pick(rng, self.pair.slots)
        return (
            None
            if slot is None
            else self.pair.stream_of(slot, rng.randrange(3), packed=rng.random() < 0.5)
        )

    def remove_egress(self, rng: random.Random) -> None:
        """An output track goes."""
        if len(self.pair.egresses) > 3:
            self.pair.remove_egress(rng.choice(list(self.pair.egresses)))

    def subscribe(self, rng: random.Random) -> None:
        """An output track changes what it carries."""
        egress = _pick(rng, self.pair.egresses)
        stream = self._some_stream(rng) if rng.random() < 0.85 else None
        if egress is not None:
            self.pair.call("subscribe", egress, -1 if stream is None else stream)
            self.pair.compare_output(rng.choice((1, 64)))

    def move(self, rng: random.Random) -> None:
        """A client is allowed, or routed to, another address; perhaps somebody else's."""
        transport = _pick(rng, self.pair.peers)
        if transport is not None:
            address = address_of(rng.choice(STRAY_HOSTS))
            self.pair.call(rng.choice(("allow", "route")), transport, address)

    def reidentify(self, rng: random.Random) -> None:
        """A client goes on under other numbers; usually it was taken off its room before."""
        pair = self.pair
        transport = _pick(rng, pair.peers)
        if transport is None:
            return
        if rng.random() < 0.8:
            mine = [source for source, (owner, _) in pair.sources.items() if owner == transport]
            for slot in pair.slots if mine and rng.random() < 0.9 else ():
                pair.call("assign", slot, -1, pair.now)
            for egress in [e for e, owner in pair.egresses.items() if owner == transport]:
                pair.call("subscribe", egress, -1)
        pair.call("reidentify", transport, csrc=rng.randrange(2**32), echo_group=rng.randrange(6))

    def revoke(self, rng: random.Random) -> None:
        """An address is worth nothing any more."""
        self.pair.call("revoke", address_of(rng.choice(STRAY_HOSTS)))

    def push(self, rng: random.Random) -> None:
        """A packet made here joins a stream."""
        stream = _pick(rng, self.pair.streams)
        if stream is not None:
            payload = b"\x78" + rng.randbytes(rng.randrange(60))
            at = self.pair.now - rng.choice((-0.021, 0.0, 0.0501, 0.1, 0.2, 0.6))
            self.pair.call(
                "push",
                stream,
                payload,
                self.pair.now,
                at=rng.choice((None, None, None, at)),
                csrcs=(77, 78, 79)[: rng.randrange(4)],
                level=rng.choice((0, 30, 127)),
                yields=rng.random() < 0.4,
                marker=rng.random() < 0.3,
            )
            self.pair.compare_output()

    def resend(self, rng: random.Random) -> None:
        """Listeners ask again: for what they just heard, or for any numbers."""
        for egress in self.pair.egresses:
            newest = self.pair.newest_sequence(egress)
            asked = [(newest - rng.randrange(-2, 20)) % 2**16 for _ in range(rng.randint(1, 8))]
            if rng.random() < 0.1:
                asked = [rng.randrange(2**16), *range(newest, newest + 70), *asked]
            spacing_s = rng.choice((0.0, 0.03, 0.2))
            self.pair.call("resend", egress, asked, self.pair.now, spacing_s)
            self.pair.compare_output(rng.choice((1, 64)))

    def ask(self, rng: random.Random) -> None:
        """Publishers are asked for what they lost; what is on its way still comes as that."""
        for source, gap in self.pair.gaps():
            asked = [one for one in gap.sequences if rng.random() < 0.9]
            asked += [gap.sequences[0] - 1, gap.sequences[-1] + rng.randrange(-80, 80)]
            found = self.pair.call("missing", source, gap.ssrc ^ (rng.random() < 0.05), asked)
            assert found[0] == found[1]
            assert set(found[0]) <= set(asked)

    def switch(self, rng: random.Random) -> None:
        """A listener takes its slot in another form."""
        carrying = {e: s for e in self.pair.egresses if (s := self.pair.stream_of_egress(e))}
        egress = _pick(rng, carrying)
        if egress is not None:
            slot = self.pair.streams[carrying[egress]]
            stream = self.pair.stream_of(slot, rng.randrange(3), packed=rng.random() < 0.5)
            self.pair.call("subscribe", egress, stream)
            self.pair.compare_output(rng.choice((1, 64)))

    def wait(self, rng: random.Random) -> None:
        """Time passes in silence."""
        self.pair.now += rng.choice((0.001, 0.02, 0.19, 0.2, 0.21, 0.3, 1.0, 1.5, 4.0, 11.0))

    def flush(self, rng: random.Random) -> None:
        """Some time passes, and what is due leaves."""
        self.pair.now += rng.choice((0.0, 0.01, 0.02, 0.04, 0.06))
        self.pair.call("flush", self.pair.now)
        self.pair.compare_output(rng.choice((1, 64)))

    def accept(self, rng: random.Random) -> None:
        """A challenger gets a slot, and its packet with it; without a slot it is refused."""
        slot = _pick(rng, self.pair.slots)
        if slot is None or not self.waiting:
            return
        source, handle = self.waiting.pop(rng.randrange(len(self.waiting)))
        if source in self.pair.sources:
            self.pair.call("assign", slot, source, self.pair.now)
        self.pair.call("accept", handle)
        self.pair.compare_output()

    def talk(self, rng: random.Random) -> None:
        """Everybody talks over a bad network for some packets."""
        for _ in range(rng.randint(1, 12)):
            self.pair.now += rng.choice((0.0, 0.018, 0.020, 0.020, 0.020, 0.022))
            self.pair.receive(self._arrivals(rng), outbox_size=rng.choice((1, 2, 3, 64)))
            self.waiting = self.pair.challenges()

    def flood(self, rng: random.Random) -> None:
        """One client sends far too much at once, far ahead, or under another SSRC."""
        source = _pick(rng, self.pair.sources)
        if source is None:
            return
        transport, voice = self.pair.sources[source]
        voice.sequence += rng.choice((0, 5_000, 20_000))
        if rng.random() < 0.3:
            voice.ssrc += 0x100
            self.pair.now += rng.choice((0.0, 1.1))
        peer = self.pair.peers[transport]
        burst = [peer.say(next_plain(voice, rng)) for _ in range(rng.choice((5, 90, 130)))]
        self.pair.receive([(data, peer.address) for data in burst], outbox_size=64)
        self.waiting = self.pair.challenges()

    def _arrivals(self, rng: random.Random) -> list[tuple[bytes, bytes]]:
        arrivals: list[tuple[bytes, bytes]] = []
        for transport, voice in self.pair.sources.values():
            peer = self.pair.peers[transport]
            data = peer.say(next_plain(voice, rng))
            stray = address_of(rng.choice(STRAY_HOSTS))
            address = peer.address if rng.random() < 0.97 else stray
            arrivals += [(piece, address) for piece in on_the_way(voice, data, rng)]
        if rng.random() < 0.1:
            junk = bytes([rng.randrange(256)]) + rng.randbytes(rng.randrange(60))
            arrivals.append((junk, rng.choice(list(self.pair.peers.values())).address))
        return arrivals


OPERATIONS: list[Callable[[Driver, random.Random], Any]] = [
    *[Driver.talk] * 14,
    *[Driver.resend, Driver.ask] * 4,
    *[Driver.switch] * 3,
    *[Driver.assign, Driver.set_audible, Driver.subscribe, Driver.wait, Driver.accept] * 2,
    *[Driver.flush] * 3,
    Driver.measure,
    *[Driver.add_transport, Driver.add_source, Driver.add_egress, Driver.resize_room],
    *[Driver.remove_transport, Driver.remove_source, Driver.remove_egress],
    *[Driver.move, Driver.reidentify, Driver.revoke, Driver.push, Driver.flood],
]


@settings(max_examples=40, derandomize=True, database=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 2**32 - 1)), min_size=80, max_size=160
    )
)
def test_compiled_forwarder_and_oracle_cannot_be_told_apart(
    operations: list[tuple[Callable[[Driver, random.Random], Any], int]],
) -> None:
    """Datagrams byte for byte, slow records, challenges, counters, sizes, levels and statistics."""
    driver = Driver()
    for operation, seed in operations:
        operation(driver, random.Random(seed))
        driver.pair.compare_state()


@pytest.mark.parametrize("seed", range(60))
def test_they_agree_over_long_sessions(seed: int) -> None:
    """The same without shrinking, and so with far more packets in the same time."""
    rng = random.Random(seed)
    driver = Driver()
    for _ in range(150):
        rng.choice(OPERATIONS)(driver, rng)
        driver.pair.compare_state()
