"""Whatever is ordered and whatever comes: nothing is raised, no output goes back in time, nobody on
stage is sent their own voice, and every table stays within its limit.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace

import numpy as np
import pytest

from sfu.mixing import (
    CloseRoom,
    ForgetSource,
    Frame,
    Mixer,
    OpenRoom,
    Packet,
    SetSource,
    StartOutput,
    StopOutput,
)
from sfu.mixing.opus import RATE_HZ, Decoder
from sfu.mixing.tiers import FORMS

from .talking import BEGIN_S, Talker, speech

STEPS = int(os.environ.get("MIXER_STEPS", "800"))
SLOTS = 3
SOURCES = 8


class World:
    """Rooms, outputs and talkers at random; `step` is one thing that happens."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._now = BEGIN_S
        self._mixer = Mixer(self._now)
        self._rooms: dict[int, dict[int, StartOutput]] = {}
        self._indices: dict[tuple[int, int], int] = {}
        self._ends: dict[int, float] = {}
        self._decoders: dict[int, Decoder] = {}
        self._outputs = 0
        talker = Talker(0, speech(-20))
        self._said = list(talker.packets(0.0, 3.0))

    def step(self) -> None:
        kinds = (self._open, self._close, self._start, self._stop, self._describe, self._forget)
        if self._random.random() < 0.15:
            self._random.choice(kinds)()
        for room in self._rooms:
            for slot in range(SLOTS):
                if self._random.random() < 0.8:
                    self._mixer.take(room, slot, self._packets(room, slot))
        self._now += self._random.choice((0.02, 0.02, 0.02, 0.005, 0.03, 0.2))
        self._judge(self._mixer.tick(self._now))
        self._mixer.measured()

    def _open(self) -> None:
        number = self._random.randrange(4)
        if number not in self._rooms:
            self._rooms[number] = {}
            self._mixer.apply(OpenRoom(number, SLOTS))

    def _close(self) -> None:
        if self._rooms and self._random.random() < 0.2:
            number = self._random.choice(list(self._rooms))
            del self._rooms[number]
            self._mixer.apply(CloseRoom(number))

    def _start(self) -> None:
        if self._rooms:
            number = self._random.choice(list(self._rooms))
            self._outputs += 1
            minus = self._random.choice((None, None, 1, 2))
            order = StartOutput(number, self._outputs, self._random.choice(list(FORMS)), minus)
            if len(self._rooms[number]) < 6:
                self._rooms[number][order.output] = order
                self._mixer.apply(order)

    def _stop(self) -> None:
        if self._rooms:
            number = self._random.choice(list(self._rooms))
            if self._rooms[number]:
                output = self._random.choice(list(self._rooms[number]))
                del self._rooms[number][output]
                self._mixer.apply(StopOutput(number, output))

    def _describe(self) -> None:
        if self._rooms:
            number = self._random.choice(list(self._rooms))
            source = self._random.randrange(SOURCES)
            group = source % 4
            is_priority = self._random.random() < 0.3
            self._mixer.apply(SetSource(number, source, 100 + group, group, 0.0, is_priority))

    def _forget(self) -> None:
        if self._rooms:
            number = self._random.choice(list(self._rooms))
            self._mixer.apply(ForgetSource(number, self._random.randrange(SOURCES)))

    def _packets(self, room: int, slot: int) -> list[Packet]:
        index = self._indices.get((room, slot), 0) + self._random.choice((1, 1, 1, 1, 2, -2, 9))
        self._indices[room, slot] = max(index, self._indices.get((room, slot), 0))
        source = (int(self._now / 1.5) + slot * 3) % SOURCES
        said = self._random.choice(self._said)
        payload = said.payload
        if self._random.random() < 0.1:
            payload = self._random.randbytes(self._random.randrange(80))
        moved = round((self._now + self._random.uniform(-0.15, 0.02)) * 50) * 960
        packet = replace(
            said,
            source=-1 if self._random.random() < 0.02 else source,
            csrc=100 + source % 4,
            index=index,
            time_ticks=moved,
            payload=payload,
            at=self._now,
        )
        return [packet] * self._random.choice((1, 1, 1, 2))

    def _judge(self, frames: list[Frame]) -> None:
        for frame in frames:
            order = self._rooms[frame.room][frame.output]
            assert frame.at >= self._ends.get(frame.output, 0.0) - 1e-9
            assert frame.at <= self._now
            self._ends[frame.output] = frame.at + frame.ticks / RATE_HZ
            assert order.minus is None or 100 + order.minus not in frame.csrcs
            assert len(frame.csrcs) <= 3 and 0 <= frame.level <= 127
            sound = self._decoders.setdefault(frame.output, Decoder()).decode(frame.payload)
            assert len(sound) == frame.ticks
            assert np.abs(sound).max() < 2
        stats = self._mixer.stats()
        assert stats.rooms == len(self._rooms)
        assert stats.encoders == sum(map(len, self._rooms.values()))
        assert stats.voices <= 2 * SLOTS * stats.rooms
        for buffers in stats.buffers.values():
            assert all(buffer.target_ms <= 120 for buffer in buffers)


@pytest.mark.parametrize("seed", range(4))
def test_anything_may_happen(seed: int) -> None:
    """More: MIXER_STEPS=100000 make test ARGS=tests/mixing/test_random.py"""
    world = World(seed)
    for _ in range(STEPS):
        world.step()
