"""Where a virtual client stands, and when it came there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Of a client; only ever moves down this list."""

    NEW = "new"
    CHECKING = "checking"
    HANDSHAKING = "handshaking"
    CONNECTED = "connected"
    FAILED = "failed"
    CLOSED = "closed"


@dataclass
class Times:
    """When the stages of a join were over; 0 for not yet."""

    begun: int = 0
    offer: int = 0
    answer: int = 0
    ice: int = 0
    dtls: int = 0
    first_audio: int = 0
