"""The judge of one track: each rule of numbering and time has an example that breaks it."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

import pytest

from tests.sim.continuity import TrackJudge
from tests.sim.downlink import Heard
from tests.sim.voice import IDENTITY, SILENCE, Uplink


@dataclass
class Said:
    """A speaker's truth."""

    uplink: Uplink = field(default_factory=Uplink)
    frame_ticks: int = 960
    delay_spread_s: float = 0.0
    audibility_changed_at: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Out:
    """A packet as the server sent it: by default packet `index` of speaker 0, in good order."""

    index: int
    sequence: int
    time: int
    marker: bool = False
    speaker: int = 0
    at: float | None = None

    def heard(self) -> Heard:
        header = struct.pack(
            "!BBHII", 0x81, self.marker << 7 | 111, self.sequence, self.time, 1
        ) + struct.pack("!I", 1)
        payload = SILENCE
        if self.speaker >= 0:
            payload = b"\x78" + IDENTITY.pack(self.speaker, self.index, 0) + bytes(20)
        return Heard(header + payload, 1.0 + self.index * 0.02 if self.at is None else self.at)


def steady(packets: int) -> list[Out]:
    """A stream without a fault."""
    return [Out(n, 100 + n, 5_000 + n * 960, marker=n == 0) for n in range(packets)]


def judged(track: list[Out], lost: tuple[int, ...] = (), changed: tuple[float, ...] = ()) -> str:
    """What the judge says about a track; both speakers sent 20 packets, `lost` never arrived."""
    speakers = [Said(audibility_changed_at=list(changed)), Said()]
    for speaker in speakers:
        for n in range(20):
            speaker.uplink.add(0.98 + n * 0.02, 960 * n, 7_000 + n, n == 0)
            if n not in lost:
                speaker.uplink.arrive(n, 1.0 + n * 0.02, True)
    return "; ".join(TrackJudge([out.heard() for out in track], speakers).take(100.0))


def without(track: list[Out], *indices: int) -> list[Out]:
    """The track less some packets, their numbers left open."""
    return [out for out in track if out.index not in indices]


def moved(track: list[Out], begin: int, *, sequences: int = 0, ticks: int = 0) -> list[Out]:
    """The track with everything from `begin` on renumbered."""
    return [
        replace(out, sequence=out.sequence + sequences, time=out.time + ticks)
        if out.index >= begin
        else out
        for out in track
    ]


def test_a_steady_stream_is_good_and_so_is_a_mirrored_loss() -> None:
    assert judged(steady(20)) == ""
    assert judged(without(steady(20), 5, 6), lost=(5, 6)) == ""


def test_a_packet_that_was_overtaken_is_put_in_its_place() -> None:
    track = steady(20)
    track[7], track[8] = track[8], replace(track[7], at=1.0 + 8 * 0.02)
    assert judged(track) == ""


def test_sequence_and_time_may_wrap() -> None:
    track = [
        replace(out, sequence=(out.sequence - 105) & 0xFFFF, time=(out.time - 10_000) & 0xFFFFFFFF)
        for out in steady(20)
    ]
    track[0] = replace(track[0], marker=True)
    assert "first sequence number" in judged(track)
    assert judged(track).count(":") == 1


@pytest.mark.parametrize(
    ("track", "lost", "fault"),
    [
        (without(steady(20), 5), (), "gap of 1, the uplink lost 0"),
        (moved(without(steady(20), 5), 6, sequences=-1), (5,), "gap of 0 hides a loss of 1"),
        (moved(steady(20), 9, sequences=1), (), "gap of 1, the uplink lost 0"),
        (moved(steady(20), 9, sequences=-1), (), "sequence 108 after 108"),
        (moved(steady(20), 9, ticks=13), (), "time advances by 973, the source's by 960"),
        (moved(steady(20), 9, ticks=-960), (), "time advances by 0"),
        ([replace(o, marker=o.index in (0, 9)) for o in steady(20)], (), "a marker within"),
        (
            [replace(o, speaker=o.index // 10) for o in steady(20)],
            (),
            "no marker at a switch from 0",
        ),
        (
            moved([replace(o, speaker=o.index // 10) for o in steady(20)], 10, sequences=2),
            (),
            "gap of 2 at a switch",
        ),
        (
            moved(
                [replace(o, speaker=o.index // 10, marker=o.index in (0, 10)) for o in steady(20)],
                10,
                ticks=3_000,
            ),
            (),
            "0.0 to 62.5 ms off the wall clock",
        ),
        (
            moved(
                [replace(o, speaker=o.index // 10, marker=o.index in (0, 10)) for o in steady(20)],
                10,
                ticks=-500,
            ),
            (),
            "time advances by 460 after a frame of 960",
        ),
    ],
)
def test_a_fault_is_named(track: list[Out], lost: tuple[int, ...], fault: str) -> None:
    assert fault in judged(track, lost)


def test_after_a_mute_there_is_a_marker_and_no_gap() -> None:
    muted = moved(without(steady(20), 8, 9), 10, sequences=-2)
    marked = [replace(out, marker=out.index in (0, 10)) for out in muted]
    assert judged(marked, changed=(1.15, 1.19)) == ""
    assert "no marker after packets were left out" in judged(muted, changed=(1.15, 1.19))


def test_silence_of_the_server_keeps_the_numbers() -> None:
    track = [replace(out, speaker=-1) if out.index in (8, 9) else out for out in steady(20)]
    track[10] = replace(track[10], marker=True)
    assert judged(track) == ""
    assert "before silence" in judged(moved(track, 9, sequences=1))
