"""What those who hear a publisher lose on their own lines, for its encoder.

In-band FEC helps where packets get lost, and an encoder adds as much as it is told to need. By
default it is told what its own line loses; `report_listener_loss` also tells it what happens
further on. The bit rate that FEC takes is taken from the voice, and everybody hears that, so one
bad line must not decide: it is the loss that nine of ten listeners stay below.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import floor

from sfu.worker.peers import Peers
from sfu.worker.settings import WorkerSettings

SHARE = 0.9


def percentile(ratios: list[float]) -> float | None:
    """What SHARE of them do not exceed, never the largest of several; None of none."""
    return sorted(ratios)[floor(SHARE * (len(ratios) - 1))] if ratios else None


def question_for(
    peers: Peers, row: int, settings: WorkerSettings
) -> Callable[[], float | None] | None:
    """How the connection `row` asks for the loss of its listeners; None: it does not."""
    return partial(listener_loss, peers, row) if settings.report_listener_loss else None


def listener_loss(peers: Peers, row: int) -> float | None:
    """Of the others in the room of the connection `row`, 0 to 1; None while nobody has reported."""
    publisher = peers.by_row(row)
    if publisher is None:
        return None
    room = publisher.room
    ratios = []
    for name in room.participants:
        peer = peers.of(room.id, name)
        if peer is None or peer is publisher or peer.line.loss_ratio is None:
            continue
        ratios.append(peer.line.loss_ratio)
    return percentile(ratios)
