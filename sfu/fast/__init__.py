"""The compiled core: `Batch` (memory), `Mmsg` (its IO), `Forwarder` and `PathChecks` (pure).

`Swarm` is the other side: the media of virtual clients, for load tests.
"""

from sfu.fast._batch import ADDRESS_BYTES, DATAGRAM_BYTES_MAX, Batch
from sfu.fast._forward import DTLS, RTCP, STUN, Forwarder
from sfu.fast._mmsg import Mmsg
from sfu.fast._stun import PathChecks
from sfu.fast._swarm import Swarm
from sfu.fast.measured import Aside, ListenerStats, Onset, Position, TrackStats
from sfu.fast.records import (
    Challenge,
    Delivery,
    EgressStats,
    Gap,
    Slow,
    SourceLevel,
    SourceStats,
    Tapped,
)

__all__ = [
    "ADDRESS_BYTES",
    "DATAGRAM_BYTES_MAX",
    "DTLS",
    "RTCP",
    "STUN",
    "Aside",
    "Batch",
    "Challenge",
    "Delivery",
    "EgressStats",
    "Forwarder",
    "Gap",
    "ListenerStats",
    "Mmsg",
    "Onset",
    "PathChecks",
    "Position",
    "Slow",
    "SourceLevel",
    "SourceStats",
    "Swarm",
    "Tapped",
    "TrackStats",
]
