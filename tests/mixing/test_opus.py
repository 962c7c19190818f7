"""The binding of libopus."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import av
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sfu.mixing import opus
from sfu.mixing.opus import RATE_HZ, Decoder, Encoder, OpusError, has_fec, packet_ticks
from sfu.mixing.tiers import FORMS

from .talking import level_dbov, magnitude_db, sine, speech


def test_what_is_encoded_is_decoded() -> None:
    encoder, decoder = Encoder(bitrate_bps=48_000, frame_ms=20, complexity=5), Decoder()
    tone = sine(440, 0.1)
    heard = np.concatenate(
        [decoder.decode(encoder.encode(tone(960 * n, 960))).copy() for n in range(50)]
    )
    assert magnitude_db(heard[9_600:], 440) == pytest.approx(-20, abs=0.2)


@pytest.mark.parametrize("tier", FORMS)
def test_each_tier_keeps_to_its_bitrate_and_frame(tier: str) -> None:
    form = FORMS[tier]
    encoder = form.encoder()
    voice = speech(-20)(0, 12 * RATE_HZ)[:: RATE_HZ // form.rate_hz]
    frames = voice[: len(voice) // encoder.samples * encoder.samples].reshape(-1, encoder.samples)
    packets = [encoder.encode(np.ascontiguousarray(frame)) for frame in frames]
    assert {packet_ticks(packet) for packet in packets} == {form.frame_ms * 48}
    seconds = len(packets) * form.frame_ms / 1_000
    assert sum(map(len, packets)) * 8 / seconds <= 1.08 * form.bitrate_bps
    fec = sum(map(has_fec, packets)) / len(packets)
    assert (fec > 0.2) == (form.expected_loss_percent > 0)


def test_a_copy_says_what_was_lost_and_concealment_only_something_like_it() -> None:
    encoder = Encoder(
        bitrate_bps=24_000, frame_ms=20, complexity=5, rate_hz=16_000, expected_loss_percent=20
    )
    voice = speech(-20)(0, 2 * RATE_HZ)[::3].reshape(-1, 320)
    packets = [encoder.encode(np.ascontiguousarray(frame)) for frame in voice]
    assert has_fec(packets[41])
    whole, copied, made_up = Decoder(), Decoder(), Decoder()
    for decoder in (whole, copied, made_up):
        for packet in packets[:40]:
            decoder.decode(packet)
    true = whole.decode(packets[40]).copy()
    copy = copied.decode_fec(packets[41], 960).copy()
    guess = made_up.conceal(960).copy()
    assert level_dbov(copy - true) < level_dbov(guess - true) - 3


def test_a_bad_packet_is_refused_and_the_decoder_lives_on() -> None:
    encoder, decoder = Encoder(bitrate_bps=48_000, frame_ms=20, complexity=5), Decoder()
    packet = encoder.encode(sine(440, 0.1)(0, 960))
    for bad in (b"", b"\x79" + bytes(21), b"\x03", b"\x7b\x00"):
        with pytest.raises(OpusError):
            decoder.decode(bad)
    assert len(decoder.decode(packet)) == 960


@given(st.binary(max_size=40))
@example(b"")
@example(b"\x03")
def test_how_long_a_packet_lasts_is_what_libopus_says(payload: bytes) -> None:
    """Where libopus decodes it; its own count does not look whether the rest of it fits."""
    library = opus.library()
    told = library.opus_packet_get_nb_samples(payload, len(payload), RATE_HZ) if payload else 0
    assert packet_ticks(payload) == max(0, told)


@given(st.binary(min_size=1, max_size=200))
def test_nothing_that_is_decoded_is_longer_or_shorter_than_it_says(payload: bytes) -> None:
    try:
        sound = Decoder().decode(payload)
    except OpusError:
        return
    assert len(sound) == packet_ticks(payload)
    assert np.isfinite(sound).all()


def test_a_reset_encoder_is_a_new_one() -> None:
    new, used = (Encoder(bitrate_bps=32_000, frame_ms=20, complexity=5) for _ in range(2))
    tone = sine(440, 0.1)
    for number in range(10):
        used.encode(tone(number * 960, 960))
    used.reset()
    assert used.encode(tone(0, 960)) == new.encode(tone(0, 960))


def test_a_machine_without_libopus_is_told_so(tmp_path: Path) -> None:
    opus.library.cache_clear()
    with (
        mock.patch.object(av, "__file__", str(tmp_path / "av" / "__init__.py")),
        pytest.raises(OpusError, match="not installed from its wheel"),
    ):
        opus.library()
    assert opus.version().startswith("libopus")


def test_a_libopus_that_is_too_old_is_told_so() -> None:
    opus.library.cache_clear()
    with (
        mock.patch.object(opus, "_load", return_value=object()),
        pytest.raises(OpusError, match="in-band FEC"),
    ):
        opus.library()
    assert opus.version().startswith("libopus")
