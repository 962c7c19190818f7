"""A listener that changes between a slot's packets and its packs hears all of it once."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from sfu.fast import Batch
from tests.fast.oracle_pack import take_apart
from tests.fast.packs import Frame, PackStage, frames_of
from tests.fast.peer import Heard, Listener, Talker, batch_of, drained
from tests.fast.peer import take_apart as fields_of
from tests.fast.red_stage import LISTENER_RED, text
from tests.fast.stage import FRAME_S

FORMS = tuple((redundancy, packed) for redundancy in range(3) for packed in (False, True))


class Street(PackStage):
    """Two talkers in one audience; a listener that changes its stream at any moment."""

    def __init__(
        self, rng: random.Random, *, segmented: bool, outbox: int = 16, **mover: Any
    ) -> None:
        super().__init__()
        self.rng = rng
        self.outbox = Batch(outbox, 2_048 * outbox)
        forwarder = self.forwarder
        self.audience = forwarder.add_audience()
        forwarder.set_segmented(self.audience, segmented)
        self.slots = [forwarder.add_slot(self.audience) for _ in range(2)]
        self.talkers = [Talker(20, forwarder), Talker(21, forwarder)]
        for slot, talker in zip(self.slots, self.talkers, strict=True):
            forwarder.assign(slot, talker.source, self.now)
        settings = {"red_payload_type": LISTENER_RED, "repeats": rng.random() < 0.5} | mover
        self.mover = Listener(30, forwarder, payload_type=96, **settings)
        self.stayers = [Listener(31 + n, forwarder, repeats=True) for n in range(2)]
        for number, one in enumerate(self.stayers):
            stream = forwarder.slot_stream(self.slots[0], packed=number > 0)
            forwarder.subscribe(one.egress, stream)
        self.moves: Counter[bool] = Counter()
        self.sent: list[tuple[bytes, bytes]] = []
        self.change()

    def change(self) -> None:
        """The listener takes its slot in another form."""
        redundancy, packed = self.rng.choice(FORMS)
        self.take(self.slots[0], redundancy, packed=packed)
        self.moves[packed] += 1

    def take(self, slot: int, redundancy: int = 0, *, packed: bool = False) -> None:
        """The listener takes this stream."""
        stream = self.forwarder.slot_stream(slot, redundancy, packed=packed)
        self.forwarder.subscribe(self.mover.egress, stream)

    def drain(self) -> None:
        """All that leaves."""
        self.sent += drained(self.forwarder, self.outbox)

    def wait(self, seconds: float) -> None:
        """Time passes; what is due leaves when it is."""
        end = self.now + seconds
        while (due := self.forwarder.next_flush()) is not None and due <= end:
            self.now = max(self.now, due)
            self.forwarder.flush(self.now)
            self.drain()
        self.now = end

    def hear(self, *said: tuple[Talker, bytes]) -> None:
        """These packets come."""
        self.forwarder.receive(batch_of(*((data, who.address) for who, data in said)), self.now)
        self.drain()

    def heard_by(self, listener: Listener) -> list[Heard]:
        """What a listener got, in the order of its numbers, without padding."""
        found = []
        for data, to in self.sent:
            if to == listener.address:
                plain = listener._down.unprotect(data)
                end = len(plain) - plain[-1] if plain[0] & 0x20 else len(plain)
                found.append(fields_of(bytes([plain[0] & ~0x20]) + plain[1:end]))
        return sorted(found, key=lambda packet: packet.sequence)


def _ends(heard: list[Heard], frames: list[Frame]) -> None:
    """Numbers and times of what was said without a loss go on without a gap."""
    numbers = [packet.sequence for packet in heard]
    assert numbers == list(range(100, 100 + len(numbers)))
    assert {after.timestamp - before.timestamp for before, after in pairwise(frames)} == {960}


@pytest.mark.parametrize("segmented", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_whoever_changes_hears_every_frame_once(seed: int, segmented: bool) -> None:
    """At any moment, also while a tick is held, through an outbox of any size."""
    rng = random.Random(seed)
    street = Street(rng, segmented=segmented, outbox=rng.choice((1, 2, 16)))
    street.hear((street.talkers[0], street.talkers[0].talk(text(0))))
    for step in range(1, 160):
        for _ in range(rng.choice((0, 0, 0, 1, 1, 3)) if step > 4 else 0):
            street.change()
        first, second = rng.choice((0.0, 0.004, 0.012)), rng.choice((0.0, 0.008))
        street.wait(first)
        for _ in range(rng.choice((0, 0, 1)) if step > 4 else 0):
            street.change()
        if rng.random() < 0.8:
            street.hear((street.talkers[1], street.talkers[1].talk(text(step))))
        street.wait(second)
        street.hear((street.talkers[0], street.talkers[0].talk(text(step, rng.randint(20, 90)))))
        street.wait(FRAME_S - first - second)
    street.change()
    street.wait(0.2)
    for listener in (street.mover, *street.stayers):
        heard = street.heard_by(listener)
        frames = frames_of(heard)
        assert [frame.data[0] for frame in frames] == list(range(160))
        _ends(heard, frames)
    assert min(street.moves.values()) > 20
    assert street.forwarder.counters()["overlapping"] == 0


@pytest.mark.parametrize("segmented", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_on_a_bad_line_nothing_is_heard_twice_and_only_what_came_late_is_missed(
    seed: int, segmented: bool
) -> None:
    rng = random.Random(seed)
    street = Street(rng, segmented=segmented)
    talker = street.talkers[0]
    in_time, late = set(), []
    for step in range(200):
        if rng.random() < 0.3 and step > 4:
            street.change()
        street.wait(rng.choice((0.018, 0.02, 0.022)))
        data = talker.talk(text(step))
        fate = rng.random() if step > 4 else 0.0
        if fate < 0.80:
            street.hear((talker, data))
            in_time.add(step)
        elif fate < 0.88:
            late.append(data)
        if rng.random() < 0.3 and late:
            street.hear((talker, late.pop(0)))
        if rng.random() < 0.03:
            talker.timestamp += 960 * 12  # a pause
            street.wait(0.24)
    street.wait(0.2)
    heard = street.heard_by(street.mover)
    came = [frame for frame in frames_of(heard) if frame.data]
    assert len({packet.sequence for packet in heard}) == len(heard)
    assert len({frame.timestamp for frame in came}) == len(came)
    numbers = [frame.data[0] for frame in came]
    assert len(set(numbers)) == len(numbers), "nothing is heard twice"
    assert in_time - {0} <= set(numbers)
    assert sorted(came) == sorted(came, key=lambda frame: frame.data[0])


def test_a_change_gives_nobody_else_another_packet() -> None:
    """Their packets are the same, whoever comes and goes."""
    others = []
    for changes in (False, True):
        street = Street(random.Random(3), segmented=False)
        for step in range(60):
            if changes:
                street.change()
            street.wait(FRAME_S)
            street.hear((street.talkers[0], street.talkers[0].talk(text(step))))
        street.wait(0.2)
        others.append([street.heard_by(one) for one in street.stayers])
    assert others[0] == others[1]


def test_what_was_made_for_one_listener_is_not_sent_again() -> None:
    """Half a pack exists nowhere any more when it is asked for."""
    stage = PackStage()
    mover = Listener(9, stage.forwarder, repeats=True)
    stage.forwarder.subscribe(mover.egress, stage.stream)
    for number in range(5):
        sent = stage.send(stage.talker.talk(text(number)))
        if number == 3:
            stage.forwarder.subscribe(mover.egress, stage.packed)
    sent = stage.send(stage.talker.talk(text(5)))
    [half] = [mover.hear(data) for data, to in sent if to == mover.address]
    assert [frame[:1] for frame in take_apart(half.payload).frames] == [b"\x04", b"\x05"]
    for number in range(12):
        stage.send(stage.talker.talk(text(number)))
    refused = stage.forwarder.counters()["resends_refused"]
    assert stage.forwarder.resend(mover.egress, [half.sequence], stage.now) == 0
    assert stage.forwarder.counters()["resends_refused"] == refused + 1
    assert stage.forwarder.resend(mover.egress, [half.sequence + 1], stage.now) == 1


def test_the_time_of_a_listener_that_is_ahead_stays() -> None:
    """Another stream had pushed it on; going on with the same speech must not push it again."""
    stage = PackStage()
    other = stage.forwarder.add_slot()
    stage.forwarder.assign(other, stage.other.source, stage.now)
    mover = Listener(9, stage.forwarder)
    stage.forwarder.subscribe(mover.egress, stage.forwarder.slot_stream(other))
    sent = stage.send(stage.other.talk(b"\x7b\x06" + bytes(60)), sender=stage.other)  # 120 ms
    stage.forwarder.subscribe(mover.egress, stage.stream)
    for number in range(12):
        sent += stage.send(stage.talker.talk(text(number)))
        if number in (3, 7):
            stream = stage.packed if number == 3 else stage.stream
            stage.forwarder.subscribe(mover.egress, stream)
    heard = [mover.hear(data) for data, to in sent if to == mover.address]
    frames = frames_of(heard[1:])
    assert [frame.data[0] for frame in frames] == list(range(frames[0].data[0], 12))
    assert {after.timestamp - before.timestamp for before, after in pairwise(frames)} == {960}


def test_what_is_held_for_its_tick_when_a_listener_comes_leaves_with_that_alone() -> None:
    """Also what came late: at once and again with padding would be two texts of one number."""
    street = Street(random.Random(1), segmented=True)
    one, other = street.talkers
    street.take(street.slots[0], packed=True)
    for number in range(9):
        street.hear((one, one.talk(text(number))), (other, other.talk(text(number))))
        street.wait(FRAME_S)
    late, _lost = one.talk(text(9)), one.talk(text(10))
    for number in (9, 10):
        street.wait(FRAME_S)
        street.hear((other, other.talk(text(number))))
    street.wait(FRAME_S - 0.001)
    street.hear((one, one.talk(text(11, 200))))
    street.hear((one, late))
    street.take(street.slots[0])
    street.drain()
    street.hear((one, one.talk(text(12))), (other, other.talk(text(11, 200))))
    street.wait(0.03)
    frames = [frame.data[0] for frame in frames_of(street.heard_by(street.mover)) if frame.data]
    assert len(set(frames)) == len(frames)
    assert frames[-2:] == [11, 12]


@pytest.mark.parametrize("between", ["nothing", "nobody", "the other, packed"])
def test_whoever_changes_and_then_takes_another_slot_hears_nothing_of_its_past(
    between: str,
) -> None:
    """At once, before anything leaves: what was to follow was of the slot that it hears no more."""
    street = Street(random.Random(1), segmented=False)
    one, other = street.talkers
    street.forwarder.slot_stream(street.slots[1], 1)  # it has a past
    street.take(street.slots[0])
    for number in range(3):
        street.wait(FRAME_S)
        street.hear((one, one.talk(text(number))))
    for number in range(100, 160):
        street.wait(FRAME_S)
        street.hear((other, other.talk(text(number))))
    street.sent.clear()
    street.take(street.slots[0], packed=True)
    if between == "nobody":
        street.forwarder.subscribe(street.mover.egress, -1)
    elif between == "the other, packed":
        street.take(street.slots[1], packed=True)
        street.forwarder.subscribe(street.mover.egress, -1)
    street.take(street.slots[1])
    street.drain()
    street.wait(FRAME_S)
    street.hear((other, other.talk(text(200))))
    assert [frame.data[0] for frame in frames_of(street.heard_by(street.mover))] == [200]


def test_whoever_leaves_while_it_changes_and_comes_back_hears_what_comes_from_then_on() -> None:
    street = Street(random.Random(1), segmented=False)
    talker = street.talkers[0]
    street.take(street.slots[0])
    for number in range(8):
        street.wait(FRAME_S)
        street.hear((talker, talker.talk(text(number))))
        if number == 3:
            street.take(street.slots[0], packed=True)
    street.sent.clear()
    street.take(street.slots[0])
    street.forwarder.subscribe(street.mover.egress, -1)
    street.take(street.slots[0])
    street.drain()
    street.wait(FRAME_S)
    street.hear((talker, talker.talk(text(8))))
    assert [frame.data[0] for frame in frames_of(street.heard_by(street.mover))] == [8]
