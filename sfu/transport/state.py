"""The states of a connection and what leads from one to the next, as `transport.py` explains."""

from __future__ import annotations

from enum import StrEnum


class TransportState(StrEnum):
    """See the table at the top of `transport.py`."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    SUSPECT = "suspect"
    CLOSED = "closed"


class Trigger(StrEnum):
    """What happened to a connection."""

    CHECKED = "checked"
    SECURED = "secured"
    SILENT = "silent"
    HEARD = "heard"
    ENDED = "ended"


# What is not here cannot happen.
NEXT = {
    (TransportState.NEW, Trigger.CHECKED): TransportState.CONNECTING,
    (TransportState.CONNECTING, Trigger.SECURED): TransportState.CONNECTED,
    (TransportState.CONNECTED, Trigger.SILENT): TransportState.SUSPECT,
    (TransportState.SUSPECT, Trigger.HEARD): TransportState.CONNECTED,
    (TransportState.NEW, Trigger.ENDED): TransportState.CLOSED,
    (TransportState.CONNECTING, Trigger.ENDED): TransportState.CLOSED,
    (TransportState.CONNECTED, Trigger.ENDED): TransportState.CLOSED,
    (TransportState.SUSPECT, Trigger.ENDED): TransportState.CLOSED,
}
