"""A microphone and ears for aiortc's own peer connections: tones in, tones out."""

from __future__ import annotations

import asyncio
from fractions import Fraction

import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

from deploy.club.voices import FRAME_SAMPLES, SAMPLE_RATE, Samples

HEARD_FRAMES = 50


class Tone(MediaStreamTrack):
    """A microphone that plays a sine, 20 ms a frame in real time."""

    kind = "audio"

    def __init__(self, hz: int) -> None:
        super().__init__()
        self._hz = hz
        self._samples = 0
        self._started = asyncio.get_running_loop().time()

    async def recv(self) -> AudioFrame:
        """The next frame, when it is due."""
        due = self._started + self._samples / SAMPLE_RATE
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        time = (np.arange(FRAME_SAMPLES) + self._samples) / SAMPLE_RATE
        pcm = (0.3 * 32_767 * np.sin(2 * np.pi * self._hz * time)).astype(np.int16)
        frame = AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, self._samples
        frame.time_base = Fraction(1, SAMPLE_RATE)
        self._samples += FRAME_SAMPLES
        return frame


class Ear:
    """What one m-line plays: frames are read as they come, the latest second is kept."""

    def __init__(self, track: MediaStreamTrack) -> None:
        self._track = track
        self._frames: list[Samples] = []
        self.task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        try:
            while True:
                frame = await self._track.recv()
                assert isinstance(frame, AudioFrame)
                left = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
                self._frames = [*self._frames[-HEARD_FRAMES + 1 :], left.astype(np.float64)]
        except MediaStreamError:
            return

    def loudest_hz(self) -> float:
        """The tone of the latest second; 0 before there was one."""
        if len(self._frames) < HEARD_FRAMES:
            return 0.0
        sound = np.concatenate(self._frames)
        if np.max(np.abs(sound)) < 300:
            return 0.0
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
        return float(np.argmax(spectrum)) * SAMPLE_RATE / len(sound)


def tones(ears: list[Ear]) -> set[int]:
    """What is heard, to the next ten hertz."""
    return {round(hz / 10) * 10 for ear in ears if (hz := ear.loudest_hz())}
