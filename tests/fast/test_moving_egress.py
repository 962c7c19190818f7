"""A listener that begins to carry another stream while the last packet still lasts."""

from __future__ import annotations

from tests.fast.peer import FRAME_TICKS, Heard, Talker, passed
from tests.fast.stage import FRAME_S, Stage

CLOCK_HZ = 48_000


class Crossing(Stage):
    """Two talkers with a slot each, half a frame apart, and one egress that follows either."""

    def __init__(self) -> None:
        super().__init__()
        self.second = self.forwarder.add_slot()
        self.forwarder.assign(self.second, self.other.source, self.now)
        self.streams = {
            self.talker: self.stream,
            self.other: self.forwarder.slot_stream(self.second),
        }
        self.heard: list[tuple[float, Heard]] = []

    def say(self, talker: Talker, payload: bytes | None = None) -> list[Heard]:
        """What the listener gets of this talker's next packet, sent now."""
        data = talker.talk() if payload is None else talker.talk(payload)
        sent = passed(self.forwarder, self.now, (data, talker.address))
        heard = [self.listener.hear(out) for out, _ in sent]
        self.heard += [(self.now, packet) for packet in heard]
        return heard

    def listen_to(self, talker: Talker) -> None:
        self.forwarder.subscribe(self.listener.egress, self.streams[talker])

    def ahead_ticks(self) -> list[int]:
        """How far each packet's time is ahead of the listener's clock, which the first one set."""
        began, first = self.heard[0]
        return [
            packet.timestamp - first.timestamp - round((at - began) * CLOCK_HZ)
            for at, packet in self.heard
        ]


def test_quick_moves_between_streams_do_not_add_up() -> None:
    stage = Crossing()
    for _ in range(200):
        for talker in (stage.talker, stage.other):
            stage.listen_to(talker)
            stage.say(talker)
            stage.now += FRAME_S / 2
    assert max(stage.ahead_ticks()) <= FRAME_TICKS
    times = [packet.timestamp for _, packet in stage.heard]
    steps = [after - before for before, after in zip(times, times[1:], strict=False)]
    assert min(steps) >= FRAME_TICKS, "no two packets overlap"
    sequences = [packet.sequence for _, packet in stage.heard]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
    left_out = 400 - len(stage.heard)
    assert left_out > 0
    assert stage.forwarder.counters()["overlapping"] == left_out


def test_what_overlaps_by_one_frame_is_moved_behind_it() -> None:
    stage = Crossing()
    (first,) = stage.say(stage.talker)
    stage.listen_to(stage.other)
    stage.now += FRAME_S / 4
    (second,) = stage.say(stage.other)
    assert second.timestamp - first.timestamp == FRAME_TICKS + FRAME_TICKS // 4
    assert stage.forwarder.counters()["overlapping"] == 0


def test_a_long_frame_is_heard_to_its_end_before_a_stream_that_is_moved_to() -> None:
    """What would be more than 20 ms ahead is not sent; what follows shows no gap."""
    stage = Crossing()
    (first,) = stage.say(stage.talker, b"\x58" + bytes(range(100)))  # 60 ms
    stage.listen_to(stage.other)
    stage.now += 0.001
    heard = []
    for _ in range(4):
        heard += stage.say(stage.other)
        stage.now += FRAME_S
    assert [packet.sequence - first.sequence for packet in heard] == [1, 2]
    assert heard[0].timestamp - first.timestamp >= 3 * FRAME_TICKS
    assert stage.forwarder.counters()["overlapping"] == 2


def test_a_listener_far_ahead_does_not_wait_for_its_clock() -> None:
    """A burst put the stream it left far ahead; what comes next is moved behind it at once."""
    stage = Crossing()
    for _ in range(10):
        stage.say(stage.talker)  # 200 ms of sound at one moment
    stage.listen_to(stage.other)
    (moved,) = stage.say(stage.other)
    assert moved.timestamp - stage.heard[0][1].timestamp == 10 * FRAME_TICKS
    assert stage.forwarder.counters()["overlapping"] == 0
