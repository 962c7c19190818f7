"""What one listener's line can carry, and what it is therefore sent. Pure.

Each module answers one question from what a listener reports; nobody here knows transports, rooms
or the forwarder. `now` is monotonic seconds.

    tiers       what may a listener be sent, and what does it cost on the wire?
    loss        how much of what was sent to it got lost on its own line?
    reports     how long is its round trip, and is it there at all?
    delay       do packets queue up?
    rates       what does the line carry?
    feedback    all that, by when each packet came
    probing     would it carry more?
    evidence    everything that is known at one moment
    trouble     is it too much, and what would not be?
    climb       may it be more again?
    ladder      which tier, therefore?
    protection  how many earlier packets should go along with each?
    line        all of it, of one connection
"""

from .feedback import Delivery
from .line import Change, Line
from .loss import Counted, DownlinkLoss, count
from .protection import COPIES_MAX, Protection
from .tiers import LADDER, Cause, Demand, Terms, Tier, cost_bps

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
