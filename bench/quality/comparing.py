"""What of a reference is in a sound: how late it comes, and whose voice it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bench.quality.opus import RATE_OUT, Pcm

Floats = npt.NDArray[np.float64]

# Spectra of 32 ms, twice in that time: syllables are told apart, and so are harmonics.
_WINDOW, _HOP = 512, 256
# Where voices have most of themselves, and what the narrowest tier carries.
_LOW_HZ, _HIGH_HZ = 100, 3_800
_BANDS = 40
# A voice has a cell of the spectrum to itself where all others are so much weaker ...
_ALONE_DB = 6.0
# ... and it is not fainter than this below its own loudest.
_FAINT_DB = 45.0
_SILENT = 1e-9


def lag(reference: Pcm, sound: Pcm, most: int) -> int:
    """By how many samples, 0 to `most`, `sound` is best taken for a delayed `reference`."""
    size = 1 << (len(reference) + most).bit_length()
    window = sound[: len(reference) + most].astype(np.float64)
    spectrum = np.conj(np.fft.rfft(reference.astype(np.float64), size)) * np.fft.rfft(window, size)
    return int(np.argmax(np.fft.irfft(spectrum, size)[: most + 1]))


def identities(references: Sequence[Pcm], absent: Pcm, mix: Pcm) -> tuple[list[float], float]:
    """How well each voice's own spectrum stands in the mix: the correlation of levels (in dB), over
    the cells of time and frequency that the voice has to itself. 1: every such cell goes up and
    down with the voice. The last number is the same for a voice that is not in the mix.
    """
    spectra = [_levels_db(one) for one in references]
    mixed, stranger = _levels_db(mix), _levels_db(absent)
    return (
        [_identity(index, spectra, mixed) for index in range(len(spectra))],
        _identity(0, [stranger, *spectra[1:]], mixed),
    )


def _identity(index: int, spectra: Sequence[Floats], mixed: Floats) -> float:
    mine = spectra[index]
    others = np.maximum.reduce([one for at, one in enumerate(spectra) if at != index])
    alone = (mine > others + _ALONE_DB) & (mine > mine.max() - _FAINT_DB)
    return float(np.corrcoef(mine[alone], mixed[alone])[0, 1])


def _levels_db(sound: Pcm) -> Floats:
    """By time and band, in dB; bands widen as the ear's do."""
    frames = np.lib.stride_tricks.sliding_window_view(sound.astype(np.float64), _WINDOW)[::_HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW), axis=1)) ** 2
    edges = _from_mel(np.linspace(_mel(_LOW_HZ), _mel(_HIGH_HZ), _BANDS + 1))
    bins = np.unique(np.round(edges * _WINDOW / RATE_OUT).astype(int))
    banded = np.add.reduceat(power, bins[:-1], axis=1)
    # The last band of `reduceat` goes on to the end.
    banded[:, -1] = power[:, bins[-2] : bins[-1]].sum(axis=1)
    levels: Floats = 10 * np.log10(banded + _SILENT)
    return levels


def _mel(hertz: float) -> float:
    return float(2_595 * np.log10(1 + hertz / 700))


def _from_mel(mel: Floats) -> Floats:
    hertz: Floats = 700 * (10 ** (mel / 2_595) - 1)
    return hertz
