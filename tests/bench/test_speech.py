"""Speech made from a seed: real Opus, true levels, pauses that are not sent, room for a time."""

from __future__ import annotations

from collections.abc import Sequence

import av
import numpy as np
import pytest

from bench import speech

# The decoder gives back what the encoder heard about 6.5 ms (312 samples) late.
ENCODER_DELAY = 312


def decoded(packets: Sequence[bytes]) -> speech.Samples:
    """What libopus makes of them, one after the other, as floats."""
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate = speech.SAMPLE_RATE
    decoder.layout = "mono"
    blocks = [
        frame.to_ndarray().astype(np.float64).reshape(-1)
        for packet in packets
        for frame in decoder.decode(av.Packet(packet))
    ]
    samples = np.concatenate(blocks)
    return samples / 32_768 if np.max(np.abs(samples)) > 2 else samples


def test_every_packet_of_a_voice_decodes_to_twenty_milliseconds() -> None:
    """With the padding in place, and whatever the sender writes into it."""
    voice = speech.voice(1, 0, "always", 2.0)
    packets = [packet[: -speech.STAMP_BYTES] + b"\xa5" * 8 for packet, _ in voice.steps]
    assert len(decoded(packets)) == len(packets) * speech.STEP_SAMPLES


def test_the_padding_changes_nothing_that_is_heard() -> None:
    """The rewritten packets decode to the same samples as the encoder's own."""
    blocks = speech._speak(np.random.default_rng(3), 1.0, with_pauses=False)
    plain = speech._encode(blocks)
    padded = [speech.stampable(packet) for packet in plain]
    assert np.array_equal(decoded(plain), decoded(padded))
    assert {len(b) - len(a) for a, b in zip(plain, padded, strict=True)} == {2 + 8}


def test_levels_are_those_of_the_sound() -> None:
    """The level of each loud step is what its decoded samples measure, within 4 dB mostly."""
    voice = speech.voice(2, 1, "always", 3.0)
    sound = decoded([packet for packet, _ in voice.steps])[ENCODER_DELAY:]
    blocks = sound[: len(sound) // 960 * 960].reshape(-1, 960)
    told = [level for _, level in voice.steps]
    errors = [
        abs(speech.level_dbov(block) - level)
        for block, level in zip(blocks, told, strict=False)
        if level < 40
    ]
    assert len(errors) > 100
    assert float(np.quantile(errors, 0.95)) <= 4


@pytest.mark.parametrize(
    ("amplitude", "level"), [(1.0, 3), (0.1, 23), (0.001, 63), (0.0, speech.LEVEL_SILENT)]
)
def test_the_level_of_a_sine_is_known(amplitude: float, level: int) -> None:
    """A full-scale sine has -3 dBov."""
    sine = amplitude * np.sin(np.arange(960) * 2 * np.pi / 48)
    assert speech.level_dbov(sine) == level


def test_the_same_seed_says_the_same() -> None:
    """Byte for byte; another seed or another voice does not."""
    one = speech.voice.__wrapped__(7, 0, "speech", 1.0)
    assert one == speech.voice.__wrapped__(7, 0, "speech", 1.0)
    assert one != speech.voice.__wrapped__(8, 0, "speech", 1.0)
    assert one != speech.voice.__wrapped__(7, 1, "speech", 1.0)


def test_who_always_speaks_sends_every_step() -> None:
    """At the bit rate of a phone call, never silent for long."""
    voice = speech.voice(1, 0, "always")
    assert all(packet for packet, _ in voice.steps)
    bits = 8 * sum(len(packet) for packet, _ in voice.steps) / speech.VOICE_S
    assert 24_000 <= bits <= 34_000
    assert sum(level > speech.LEVEL_SENT_MAX for _, level in voice.steps) == 0


def test_pauses_of_speech_are_hardly_sent() -> None:
    """200 ms into a pause nothing is sent but a refresh every 400 ms."""
    voice = speech.voice(1, 0, "speech")
    empty = [index for index, (packet, _) in enumerate(voice.steps) if not packet]
    assert 0.1 < len(empty) / len(voice.steps) < 0.5
    assert all(voice.steps[index][1] > speech.LEVEL_SENT_MAX for index in empty)
    longest = run = 0
    for packet, _ in voice.steps:
        run = 0 if packet else run + 1
        longest = max(longest, run)
    assert longest == speech.DTX_REFRESH_STEPS - 1


def test_an_open_microphone_in_silence_refreshes_every_400_ms() -> None:
    """One packet in twenty steps, and that decodes as well."""
    steps = speech.silence().steps
    sent = [packet for packet, _ in steps if packet]
    assert len(steps) == speech.DTX_REFRESH_STEPS and len(sent) == 1
    assert len(decoded(sent)) == speech.STEP_SAMPLES


@pytest.mark.parametrize("packet", [b"", b"\x01\x00", b"\x03\x41\x00"])
def test_only_packets_of_one_frame_can_be_stamped(packet: bytes) -> None:
    """Anything else is refused instead of broken."""
    with pytest.raises(ValueError, match="one frame"):
        speech.stampable(packet)
