"""What can be done about lost packets, and how a listener waits for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Treatment:
    """One way to protect the downlink, and the jitter buffer behind it."""

    name: str
    buffer_ms: int  # between a packet's arrival without jitter and its playout
    in_band_fec: bool = False  # the publisher knows the loss and encodes for it
    repeats: bool = False  # the listener asks again
    redundancy: int = 0  # copies of earlier packets in each, made by the forwarder

    @property
    def label(self) -> str:
        """For tables."""
        return f"{self.name}, {self.buffer_ms} ms"


BUFFER_MS = 100
# A repetition needs the packet after the lost one (20 ms) and a round trip (80 ms); a second one
# another round trip. A buffer below 100 ms cannot wait for it.
PATIENT_BUFFER_MS = 200

NOTHING = Treatment("nothing", BUFFER_MS)
FEC = Treatment("FEC", BUFFER_MS, in_band_fec=True)
NACK = Treatment("NACK", PATIENT_BUFFER_MS, repeats=True)
RED1 = Treatment("RED1", BUFFER_MS, redundancy=1)
RED2 = Treatment("RED2", BUFFER_MS, redundancy=2)

TREATMENTS = (NOTHING, FEC, NACK, RED1, RED2)
BUFFERS_MS = (60, 100, 140, 200)
