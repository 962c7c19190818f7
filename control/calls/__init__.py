"""(client) One coroutine per command, in groups.

All raise ControlError when the daemon refuses (`code` says why; `invalid_argument` and
`permission_denied` are possible everywhere and not repeated there), and ConnectionLost when there
is no connection to ask over.
"""

from __future__ import annotations

from control.calls.participants import ParticipantCalls
from control.calls.rooms import RoomCalls, RoomFields
from control.calls.server import ServerCalls
from control.calls.stage import StageCalls, SubscriptionFields

__all__ = ["Calls", "RoomFields", "SubscriptionFields"]


class Calls(ServerCalls, RoomCalls, ParticipantCalls, StageCalls):
    """The commands as methods of whatever can `call`."""
