"""What is said: voices that a plain Debian can have, 24 s of each, at 48 kHz.

- Speech synthesizer Flite (package `flite`): `slt` and `rms` (American, a woman and a man), `awb`
  (a Scot), which are statistical models of a person, and `kal16`, joined from recorded diphones.
  Licence of Flite and its voices: BSD-like (Carnegie Mellon University).
- A person: the channel names of `speaker-test` (package `alsa-utils`, GPL-2), 11 s of a woman
  recorded at 48 kHz, said twice.

Or recordings of one's own. Nothing of it is stored here.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import numpy as np

from bench.quality.opus import RATE_IN, RATE_OUT, Pcm

SPEECH_S = 24
FLITE_VOICES = ("slt", "rms", "awb", "kal16")
HUMAN = "speaker-test"
NAMES = (*FLITE_VOICES, HUMAN)
_CHANNELS = Path("/usr/share/sounds/alsa")
# Said once by each: long enough for the quickest, with the sounds of English and natural pauses.
_TEXT = """\
Good evening, and welcome to the reading room. Tonight three people share one table, and everybody
else may listen. The first guest built a small boat last winter, using nothing but ash wood and
patience. She says the shaping of the keel took a month, because every joint had to be cut twice.
Why would anyone choose such a slow way? Well, a thing that is made in haste is seldom loved. The
second guest keeps bees on the roof of a theatre. On warm mornings they fly across the river,
visit the orchards, and are back before the audience arrives. Could we hear about the fire,
please? Yes, of course. It began just after six, in the kitchen, and thick yellow smoke filled the
hall. Nobody was hurt, though the choir had to sing outside, under a very pale moon."""


class VoiceError(RuntimeError):
    """A voice is not to be had here; says what is missing."""


@dataclass(frozen=True, eq=False)
class Voice:
    """24 s of somebody, twice: as it is encoded, and as PESQ compares with it."""

    name: str
    sound: Pcm  # 48 kHz
    reference: Pcm  # 16 kHz


@lru_cache(maxsize=8)
def voice(name: str) -> Voice:
    """One of `NAMES`, or the recording in a file. `VoiceError` if that is not there or short."""
    if name in FLITE_VOICES:
        sound = _synthesized(name)
    elif name == HUMAN:
        sound = _channel_names()
    else:
        sound = _read(Path(name))
    wanted = SPEECH_S * RATE_IN
    if len(sound) < wanted:
        raise VoiceError(f"{name}: {len(sound) / RATE_IN:.1f} s of speech, {SPEECH_S} are needed")
    sound = sound[:wanted]
    return Voice(Path(name).stem, sound, _resampled(sound))


def _synthesized(name: str) -> Pcm:
    flite = shutil.which("flite")
    if flite is None:
        raise VoiceError("flite is not installed (apt-get install flite)")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "speech.wav")
        words = " ".join(_TEXT.split())
        subprocess.run([flite, "-voice", name, "-t", words, "-o", str(path)], check=True)
        return _read(path)


def _channel_names() -> Pcm:
    files = sorted(path for path in _CHANNELS.glob("*_*.wav"))
    if not files:
        raise VoiceError("speaker-test is not installed (apt-get install alsa-utils)")
    once = np.concatenate([_read(path) for path in files])
    return np.tile(once, -(-SPEECH_S * RATE_IN // len(once)))


def _read(path: Path) -> Pcm:
    """A sound file as mono at 48 kHz."""
    try:
        with av.open(str(path)) as file:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_IN)
            frames = [one for frame in file.decode(audio=0) for one in resampler.resample(frame)]
    except (OSError, av.FFmpegError) as error:
        raise VoiceError(f"{path}: {error}") from None
    return _joined([*frames, *resampler.resample(None)])


def _resampled(sound: Pcm) -> Pcm:
    frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = RATE_IN
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_OUT)
    return _joined([*resampler.resample(frame), *resampler.resample(None)])


def _joined(frames: list[av.AudioFrame]) -> Pcm:
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.int16)
