"""What listeners of each tier hear and when, of one talker and of three at once; kept in a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from bench.quality.comparing import identities, lag
from bench.quality.kept import KeptError, Origin
from bench.quality.mixed import MIXES, TIERS, Stream, heard
from bench.quality.opus import RATE_OUT, Pcm
from bench.quality.score import pesq_of
from bench.quality.voices import voice

# More than any tier holds back.
_LAG_MAX = RATE_OUT // 4
# Delay is measured second by second, where there is enough of a voice to be found again.
_BLOCK = RATE_OUT
_LOUD = 200.0
_DIGITS = 3


@dataclass(frozen=True)
class Alone:
    """One talker on one tier."""

    tier: str
    voice: str
    pesq: float
    wire_kbit_s: float
    delay_p50_ms: float  # from capture until it can be decoded
    delay_p99_ms: float


@dataclass(frozen=True)
class Together:
    """Three talkers in one mix: how much of each is in it, and of somebody who is not."""

    tier: str
    voices: tuple[str, ...]
    identities: tuple[float, ...]
    stranger: float


@dataclass(frozen=True)
class Tiers:
    """All of one command."""

    origin: Origin
    alone: tuple[Alone, ...]
    together: tuple[Together, ...]

    def of(self, tier: str) -> list[Alone]:
        """One tier, voice by voice."""
        return [one for one in self.alone if one.tier == tier]


def measure_tiers(names: Sequence[str], jobs: int) -> Iterator[Alone | Together]:
    """Everything that `tiers_of` takes, in its order. With fewer than four voices there are no
    three with a fourth to tell them from.
    """
    pairs = [(tier, name) for tier in TIERS for name in names]
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_alone, *zip(*pairs, strict=True))
        if len(names) > 3:
            yield from pool.map(partial(_together, names[:4]), MIXES)


def tiers_of(origin: Origin, outcomes: Sequence[Alone | Together]) -> Tiers:
    """What was measured, sorted."""
    return Tiers(
        origin,
        tuple(one for one in outcomes if isinstance(one, Alone)),
        tuple(one for one in outcomes if isinstance(one, Together)),
    )


def _alone(tier: str, name: str) -> Alone:
    who = voice(name)
    stream = heard([who], tier)
    sound = _aligned(who.reference, stream)
    delays_ms = delays_of(who.reference, stream)
    return Alone(
        tier,
        who.name,
        round(pesq_of(who.reference, sound), _DIGITS),
        round(stream.wire_kbit_s, _DIGITS),
        *(round(float(np.percentile(delays_ms, share)), _DIGITS) for share in (50, 99)),
    )


def _together(names: Sequence[str], tier: str) -> Together:
    *three, stranger = (voice(name) for name in names)
    stream = heard(three, tier)
    # Each talker ticks by itself; against each other they are shifted by less than a step.
    sound = _aligned(three[0].reference, stream)
    found, strange = identities([one.reference for one in three], stranger.reference, sound)
    return Together(
        tier,
        tuple(one.name for one in three),
        tuple(round(one, _DIGITS) for one in found),
        round(strange, _DIGITS),
    )


def _aligned(reference: Pcm, stream: Stream) -> Pcm:
    """The sound in step with the reference."""
    whole = stream.sound(len(reference) + _LAG_MAX)
    late = lag(reference, whole, _LAG_MAX)
    return whole[late : late + len(reference)]


def delays_of(reference: Pcm, stream: Stream) -> list[float]:
    """Of each packet with sound in it: ms from when a sample was captured until it could be
    decoded.
    """
    whole = stream.sound(len(reference) + _LAG_MAX)
    late: dict[int, int] = {}
    for begin in range(0, len(reference) - _BLOCK + 1, _BLOCK):
        block = reference[begin : begin + _BLOCK]
        if np.sqrt(np.mean(block.astype(np.float64) ** 2)) >= _LOUD:
            late[begin // _BLOCK] = lag(block, whole[begin:], _LAG_MAX)
    delays = []
    for piece in stream.pieces:
        captured = round((piece.at - stream.begins) * RATE_OUT)
        if (samples := late.get(captured // _BLOCK)) is not None:
            delays.append(1e3 * (piece.came - piece.at + samples / RATE_OUT))
    return delays


def tiers_to_json(tiers: Tiers) -> str:
    """A line for each outcome."""
    rows = {
        name: ",\n".join(json.dumps(asdict(one)) for one in found)
        for name, found in (("alone", tiers.alone), ("together", tiers.together))
    }
    origin = json.dumps(asdict(tiers.origin))
    return (
        f'{{"origin": {origin}, "alone": [\n{rows["alone"]}\n], '
        f'"together": [\n{rows["together"]}\n]}}\n'
    )


def tiers_from_json(text: str) -> Tiers:
    """What `tiers_to_json` wrote. `KeptError` for anything else."""
    try:
        raw = json.loads(text)
        origin = Origin(**raw["origin"] | {"voices": tuple(raw["origin"]["voices"])})
        alone = tuple(Alone(**one) for one in raw["alone"])
        together = tuple(
            Together(one["tier"], tuple(one["voices"]), tuple(one["identities"]), one["stranger"])
            for one in raw["together"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise KeptError(f"no measurement of tiers: {error!r}") from None
    return Tiers(origin, alone, together)
