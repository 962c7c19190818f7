"""How each mix tier is encoded.

Only B1 has bits for the full band. At 24 kbit/s a voice of up to 8 kHz is better by 0.3 of PESQ
and cheaper to encode, and in-band FEC fits in.
"""

from __future__ import annotations

from dataclasses import dataclass

from .narrowing import NARROW_HZ
from .opus import RATE_HZ, Encoder

# Of 0..10. One less costs 0.1 of PESQ, more is not heard.
COMPLEXITY = 6
# From about 6 on libopus does put copies into its packets at these bitrates (for 0.1 to 0.3 of PESQ
# where nothing is lost); a line that loses more gets copies of whole packets.
EXPECTED_LOSS_PERCENT = 8


@dataclass(frozen=True, slots=True)
class Form:
    """One tier: what an encoder is told, and at which rate it takes sound."""

    bitrate_bps: int
    frame_ms: int
    rate_hz: int
    expected_loss_percent: int = 0

    @property
    def is_narrow(self) -> bool:
        """It takes 16 kHz."""
        return self.rate_hz == NARROW_HZ

    def encoder(self) -> Encoder:
        """A new one."""
        return Encoder(
            bitrate_bps=self.bitrate_bps,
            frame_ms=self.frame_ms,
            complexity=COMPLEXITY,
            rate_hz=self.rate_hz,
            expected_loss_percent=self.expected_loss_percent,
        )


FORMS = {
    "B1": Form(32_000, 20, RATE_HZ, EXPECTED_LOSS_PERCENT),
    "B2": Form(24_000, 40, NARROW_HZ, EXPECTED_LOSS_PERCENT),
    "B3": Form(16_000, 60, NARROW_HZ),
    "B4": Form(10_000, 60, NARROW_HZ),
    "B5": Form(8_000, 120, NARROW_HZ),
}
