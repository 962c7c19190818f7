"""What one listener's line can carry, and what it is therefore sent. Pure.

Each module answers one question from what a listener reports; nobody here knows transports, rooms
or the forwarder. `now` is monotonic seconds.

    loss        how much of what was sent to it got lost on its own line?
    protection  how many earlier packets should go along with each?
    line        both, of one connection
"""

from .line import Line
from .loss import Counted, DownlinkLoss, count
from .protection import COPIES_MAX, Protection

__all__ = ["COPIES_MAX", "Counted", "DownlinkLoss", "Line", "Protection", "count"]
