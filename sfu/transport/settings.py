"""What a transport is told at its start, and what it grants its peer."""

from __future__ import annotations

from dataclasses import dataclass

# A handshake takes under ten datagrams each way, a lossy one a few times that.
DTLS_PER_S = 20.0
DTLS_BURST = 100.0


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """How long to wait for what, in seconds."""

    join_timeout_s: float = 30.0  # for the first check
    dtls_timeout_s: float = 15.0  # from the first check to the keys
    suspect_after_s: float = 5.0  # of silence, more for a peer that checks less often
    gone_after_s: float = 20.0  # of silence
