"""What differs between simulated clients, as scenarios say it."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from sfu.transport.dtls import SrtpProfile
from tests.sim.voice import Voice


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientShape:
    """What a scenario says of a client."""

    lines: int = 3
    sends: bool = True
    voice: Voice = Voice()
    profiles: tuple[SrtpProfile, ...] = tuple(SrtpProfile)
    # Offers RED; as a publisher it sends so many copies with each packet.
    red: bool = False
    copies: int = 0
    nack: bool = False
    xr: bool = False
    # Offers to tell when each stamped packet came, and does.
    transport_cc: bool = False
    # Tells with its reports that it can take no more than this; offers to if it is not None.
    remb_bps: int | None = None
    # A packet that comes later than this after its time is of no use.
    jitter_buffer_s: float = 0.12
    report_s: tuple[float, float] = (1.5, 2.5)
    # Chromium's interval for checks on the selected pair, spread as RFC 7675 5.1 asks.
    consent_s: tuple[float, float] = (2.0, 3.0)


def with_repairs(shape: ClientShape, rng: random.Random) -> ClientShape:
    """The shape of somebody whose browser has RED, NACK, reference times and transport-wide
    feedback, or has not.

    A shape that speaks of any of them stays as it is.
    """
    if shape.red or shape.nack or shape.xr or shape.transport_cc:
        return shape
    red, nack, xr, transport_cc = (rng.random() < 0.5 for _ in range(4))
    copies = rng.randrange(3) if red and shape.sends else 0
    return replace(shape, red=red, copies=copies, nack=nack, xr=xr, transport_cc=transport_cc)
