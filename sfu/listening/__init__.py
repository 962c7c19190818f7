"""What one listener's line can carry, and what it is therefore sent. Pure.

Each module answers one question from what a listener reports; nobody here knows transports, rooms
or the forwarder. `now` is monotonic seconds.

    tiers       what may a listener be sent, and what does it cost on the wire?
    loss        how much of what was sent to it got lost on its own line?
    protection  how many earlier packets should go along with each?
    line        all of it, of one connection
"""

from .line import Cause, Change, Delivery, Line
from .loss import Counted, DownlinkLoss, count
from .protection import COPIES_MAX, Protection
from .tiers import LADDER, Demand, Terms, Tier, cost_bps

__all__ = [
    "COPIES_MAX",
    "LADDER",
    "Cause",
    "Change",
    "Counted",
    "Delivery",
    "Demand",
    "DownlinkLoss",
    "Line",
    "Protection",
    "Terms",
    "Tier",
    "cost_bps",
    "count",
]
