"""What a voice is made of, each by itself: arrivals, waiting packets, seams, the way to 16 kHz."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.mixing import Packet, stretching
from sfu.mixing.decoding import Decoding
from sfu.mixing.jitter import PACKETS_MAX, START_S, TARGET_S_MAX, TARGET_S_MIN, Arrivals
from sfu.mixing.narrowing import Narrowing
from sfu.mixing.opus import RATE_HZ, Encoder, Pcm
from sfu.mixing.sound import CAPACITY_TICKS, Sound
from sfu.mixing.stats import Counts
from sfu.mixing.waiting import PACKETS_MAX as WAITING_MAX
from sfu.mixing.waiting import Waiting

from .talking import LOUD, level_dbov, magnitude_db, sine, speech


def arrive(arrivals: Arrivals, delays: list[float], begin: int = 0) -> None:
    for number, delay in enumerate(delays, begin):
        arrivals.observe(number * 0.02, 5.0 + number * 0.02 + delay, 0.02)


def test_the_wait_begins_at_40_ms_and_falls_to_what_a_calm_line_needs() -> None:
    arrivals = Arrivals()
    assert arrivals.target_s == START_S == 0.040
    arrive(arrivals, [0.001] * 5)
    assert arrivals.target_s == START_S
    arrive(arrivals, [0.001] * 20, 5)
    assert arrivals.target_s == TARGET_S_MIN


def test_the_wait_is_the_95_percent_quantile_and_its_cap_is_120_ms() -> None:
    rng = random.Random(1)
    for spread in (0.03, 0.06, 0.1):
        arrivals = Arrivals()
        arrive(arrivals, [rng.uniform(0, spread) for _ in range(400)])
        assert arrivals.target_s == pytest.approx(0.95 * spread + 0.005, abs=0.1 * spread)
    arrivals = Arrivals()
    arrive(arrivals, [rng.uniform(0, 0.5) for _ in range(400)])
    assert arrivals.target_s == TARGET_S_MAX


def test_one_late_packet_in_twenty_does_not_raise_the_wait() -> None:
    arrivals = Arrivals()
    arrive(arrivals, [0.2 if number % 25 == 0 else 0.0 for number in range(200)])
    assert arrivals.target_s == TARGET_S_MIN


def test_a_storm_is_forgotten_after_two_seconds() -> None:
    rng = random.Random(2)
    arrivals = Arrivals()
    arrive(arrivals, [rng.uniform(0, 0.3) for _ in range(3_000)])
    arrive(arrivals, [0.0] * 120, 3_000)
    assert arrivals.target_s == TARGET_S_MIN


def test_with_loss_a_packet_waits_for_its_successor() -> None:
    arrivals = Arrivals()
    arrive(arrivals, [0.0] * 50)
    arrivals.lose(6.0)
    arrive(arrivals, [0.0], 50)
    assert arrivals.target_s == 0.040
    arrive(arrivals, [0.0] * 120, 51)
    assert arrivals.target_s == TARGET_S_MIN


def test_after_a_restart_the_wait_is_kept_until_something_is_known() -> None:
    rng = random.Random(3)
    arrivals = Arrivals()
    arrive(arrivals, [rng.uniform(0, 0.09) for _ in range(200)])
    before = arrivals.target_s
    arrivals.restart()
    arrivals.observe(1_000.0, 77.0, 0.02)
    assert arrivals.target_s == before
    assert arrivals.base_s == 77.0 - 1_000.0


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(-40, 40)), min_size=1, max_size=300))
def test_arrivals_in_whatever_disorder_stay_within_their_table(
    times: list[tuple[float, float]],
) -> None:
    arrivals = Arrivals()
    for time_s, late in times:
        arrivals.observe(time_s, time_s + late, 0.02)
        assert TARGET_S_MIN <= arrivals.target_s <= TARGET_S_MAX


def test_arrivals_have_a_limit() -> None:
    arrivals = Arrivals()
    for number in range(PACKETS_MAX + 500):
        arrivals.observe(number * 1e-4, number * 1e-4, 0.0025)
    assert len(arrivals._window) == len(arrivals._sorted) == PACKETS_MAX


def packet(time_ticks: int) -> Packet:
    return Packet(1, 1, time_ticks, time_ticks, 960, 0, False, b"", 0.0)


@given(st.lists(st.integers(0, 200), max_size=300))
def test_waiting_packets_leave_in_order_each_once_and_the_oldest_make_room(
    times: list[int],
) -> None:
    waiting = Waiting()
    model: list[int] = []
    dropped = 0
    for time in times:
        assert waiting.add(packet(time)) == (time not in model)
        model = sorted({*model, time})
        if len(model) > WAITING_MAX:
            del model[0]
            dropped += 1
    assert waiting.dropped == dropped
    left = []
    while waiting.first is not None:
        left.append(waiting.pop().time_ticks)
    assert left == model
    assert len(waiting) == 0


@given(st.lists(st.integers(1, 5_760), max_size=60))
def test_a_queue_of_sound_gives_back_what_was_put_in(sizes: list[int]) -> None:
    sound, put, got = Sound(), [], []
    count = 0
    for size in sizes:
        piece = np.arange(count, count + size, dtype=np.float32)
        count += size
        sound.append(piece)
        put.append(piece)
        row = np.empty(960, dtype=np.float32)
        while sound.ticks > CAPACITY_TICKS - 5_760:
            sound.take(row)
            got.append(row.copy())
    got.append(sound.view.copy())
    assert (np.concatenate([*put, []]) == np.concatenate(got)).all()


def test_what_is_missing_at_the_end_is_silence() -> None:
    sound = Sound()
    sound.append(np.ones(100, dtype=np.float32))
    row = np.full(960, 7, dtype=np.float32)
    sound.take(row)
    assert row[:100].all() and not row[100:].any()


@pytest.mark.parametrize("hertz", [70, 110, 180, 333])
def test_a_seam_is_a_period_of_the_voice(hertz: float) -> None:
    sound = speech(-20, hertz)(RATE_HZ, 4_000)
    seam = stretching.find(sound)
    periods = seam.lag * hertz / RATE_HZ
    assert seam.alike > 0.9
    assert periods == pytest.approx(round(periods), abs=0.05)
    for change, expected in (
        (stretching.shortened, 4_000 - seam.lag),
        (stretching.lengthened, 4_000 + seam.lag),
    ):
        changed = change(sound, seam.lag)
        assert len(changed) == expected
        assert np.abs(np.diff(changed)).max() < 1.3 * np.abs(np.diff(sound)).max()
        assert level_dbov(changed) == pytest.approx(level_dbov(sound), abs=0.7)


@pytest.mark.parametrize("change", [stretching.shortened, stretching.lengthened])
def test_even_a_bad_seam_is_no_click(change: Callable[[Pcm, int], Pcm]) -> None:
    tone = sine(100, 0.5)(0, 5_000)
    half_a_period = 240
    heard = np.concatenate((tone[:1_000], change(tone[1_000:], half_a_period)))
    steps = np.abs(np.diff(heard))
    assert steps.max() < 0.5 * 2 * np.pi * 100 / RATE_HZ + 2 * 0.5 / stretching.BLEND_TICKS


def test_in_quiet_as_much_as_possible_goes_and_noise_is_not_taken_for_a_voice() -> None:
    rng = np.random.default_rng(1)
    quiet: Pcm = rng.normal(0, 0.0005, 4_000).astype(np.float32)
    assert stretching.find(quiet) == (stretching.LAG_TICKS_MAX, 1.0)
    assert stretching.find(quiet * 100).alike < stretching.ALIKE


def test_what_is_16_khz_has_what_was_below_7_khz_and_no_mirror_of_the_rest() -> None:
    for hertz, wanted in ((100, 0.0), (1_000, 0.0), (6_500, 0.0)):
        assert narrowed_db(hertz, hertz) == pytest.approx(wanted, abs=0.5)
    for hertz in (9_000, 10_000, 15_000, 20_000):
        mirror = abs(hertz - 16_000)
        assert narrowed_db(hertz, mirror) < -55


def test_concealment_fades_between_60_and_80_ms_and_is_spent_then() -> None:
    counts = Counts()
    decoding = Decoding(counts)
    encoder = Encoder(bitrate_bps=48_000, frame_ms=20, complexity=3)
    for number in range(20):
        decoding.packet(encoder.encode(speech(-15)(number * 960, 960)))
    made_up = []
    for _ in range(4):
        assert not decoding.is_spent
        made_up.append(decoding.missing(960).copy())
    assert decoding.is_spent
    assert level_dbov(made_up[2]) > -40
    assert level_dbov(made_up[3][-48:]) < -70
    assert counts.concealed_frames == 4


def test_a_copy_that_cannot_be_decoded_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = Counts()
    decoding = Decoding(counts)
    monkeypatch.setattr("sfu.mixing.decoding.has_fec", lambda payload: True)
    assert len(decoding.missing(960, b"\x79" + bytes(21))) == 960
    assert (counts.concealed_frames, counts.recovered_frames) == (1, 0)


def narrowed_db(hertz: float, seen_hertz: float) -> float:
    """How much of `seen_hertz` there is in a tone of `hertz` after narrowing."""
    narrowing = Narrowing(960)
    tone = sine(hertz, 1.0)
    blocks = [narrowing.process(tone(960 * number, 960)) for number in range(30)]
    sound = np.concatenate(blocks)[960:]
    return magnitude_db(np.repeat(sound, 3)[::3], 3 * seen_hertz)


@pytest.mark.parametrize("how", ["packet", "missing", "copy", "tail"])
def test_no_payload_decodes_to_more_than_full_scale(how: str) -> None:
    decoding = Decoding(Counts())
    for _ in range(4):
        sound = decoding.packet(LOUD)
    if how == "missing":
        sound = decoding.missing(960)
    elif how == "copy":
        sound = decoding.missing(960, LOUD)
    elif how == "tail":
        sound = decoding.tail()
    assert sound is not None
    assert np.abs(sound).max() <= 1.0


def test_what_decodes_to_no_number_is_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    decoding = Decoding(Counts())
    sound = np.array([0.5, np.nan, np.inf, -np.inf, -0.5], dtype=np.float32)
    monkeypatch.setattr(decoding._decoder, "decode", lambda payload: sound)
    decoded = decoding.packet(LOUD)
    assert decoded is not None
    assert decoded.tolist() == [0.5, 0.0, 1.0, -1.0, -0.5]
