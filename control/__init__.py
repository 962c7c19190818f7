"""The contract between a product backend and the media daemon, and the SDK that speaks it.

`Client` is the SDK, `Key` what it authenticates with; commands, events and states are in
`control.commands`, `control.events` and `control.types`; the daemon's side is `control.server`.
"""

from control.auth import Key
from control.client import Client
from control.commands import Position
from control.errors import (
    ConnectionLost,
    ControlError,
    ErrorCode,
    FrameMalformed,
    FrameTooLarge,
    ProtocolError,
)
from control.events import Event
from control.streams import EventStream
from control.types import Role

__all__ = [
    "Client",
    "ConnectionLost",
    "ControlError",
    "ErrorCode",
    "Event",
    "EventStream",
    "FrameMalformed",
    "FrameTooLarge",
    "Key",
    "Position",
    "ProtocolError",
    "Role",
]
