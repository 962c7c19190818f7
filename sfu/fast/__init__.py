"""The compiled core: `Batch` (memory), `Mmsg` (the only compiled IO) and `Forwarder` (pure)."""

from sfu.fast._batch import ADDRESS_BYTES, DATAGRAM_BYTES_MAX, Batch
from sfu.fast._forward import DTLS, RTCP, STUN, Forwarder
from sfu.fast._mmsg import Mmsg
from sfu.fast.records import Challenge, EgressStats, Slow, SourceLevel, SourceStats

__all__ = [
    "ADDRESS_BYTES",
    "DATAGRAM_BYTES_MAX",
    "DTLS",
    "RTCP",
    "STUN",
    "Batch",
    "Challenge",
    "EgressStats",
    "Forwarder",
    "Mmsg",
    "Slow",
    "SourceLevel",
    "SourceStats",
]
