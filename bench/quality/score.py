"""PESQ (ITU-T P.862.2, wide band) of what was heard."""

from __future__ import annotations

import statistics

from bench.quality.opus import RATE_OUT, Pcm

# P.862 is meant for utterances of about this length; longer speech is scored piece by piece.
PIECE_S = 8


class ScoreError(RuntimeError):
    """PESQ is not installed."""


def pesq_of(reference: Pcm, heard: Pcm) -> float:
    """Mean of the pieces: 1.0 (bad) to 4.64 (no difference heard)."""
    try:
        import pesq
    except ImportError:
        raise ScoreError("pesq is not installed (pip install 'rostrum[quality]')") from None
    size = PIECE_S * RATE_OUT
    assert len(reference) == len(heard) and len(reference) >= size
    starts = range(0, len(reference) - size + 1, size)
    return statistics.fmean(
        float(pesq.pesq(RATE_OUT, reference[at : at + size], heard[at : at + size], "wb"))
        for at in starts
    )
