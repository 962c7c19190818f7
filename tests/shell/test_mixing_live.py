"""The real mixer in its thread, on the real clock."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace

import pytest

from sfu.mixing import Frame, Mixer, OpenRoom, SetSource, StartOutput
from sfu.shell.mixing_thread import MixingThread
from sfu.worker.mix_port import Taken
from tests.mixing.talking import Talker, sine

TICK_S = 0.02
SAID = 40


async def test_what_is_said_comes_back_mixed_in_frames_on_one_grid() -> None:
    loop = asyncio.get_running_loop()
    failures: list[BaseException] = []
    frames: list[Frame] = []
    port = MixingThread(
        lambda: Mixer(time.monotonic(), time.perf_counter),
        clock=time.monotonic,
        report=failures.append,
    )
    port.start(loop, lambda: frames.extend(port.take().frames))
    port.send(
        [OpenRoom(1, 3), SetSource(1, 7, 107, 1), StartOutput(1, 2, "B1")], [], time.monotonic()
    )
    begun_at = time.monotonic()
    for packet in Talker(7, sine(440.0, 0.2)).packets(begun_at, begun_at + SAID * TICK_S):
        await asyncio.sleep(packet.at - time.monotonic())
        now = time.monotonic()
        port.send([], [Taken(1, 0, [replace(packet, at=now)])], now)
    while len([frame for frame in frames if frame.csrcs]) < SAID // 2:
        await asyncio.sleep(0.001)
    port.stop()
    assert failures == [] and port.counters()["failures"] == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "mixing"]
    spoken = [frame for frame in frames if frame.csrcs == (107,)]
    for frame in spoken:
        assert frame.at / TICK_S == pytest.approx(round(frame.at / TICK_S), abs=1e-6)
        assert (frame.room, frame.output, frame.ticks) == (1, 2, 960)
