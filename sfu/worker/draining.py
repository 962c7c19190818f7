"""What draining does to rooms: each is asked to move, and at the deadline all are emptied."""

from __future__ import annotations

from itertools import islice

from control.events import ServerDraining
from control.types import LeaveReason
from sfu.worker.registry import Registry

# Of rooms that are closed.
REASON_DRAINED = "drained"
# An event costs some 10 us, so that these hold nothing up.
ROOMS_TOLD_PER_TURN = 64
# Closing a room costs some 0.1 ms, and as much again for each participant in it, who is told.
# Sound of those who are still here waits no longer than that.
DRAINED_PER_TURN = 8
DRAINED_PEOPLE_PER_TURN = 32


def begin_draining(
    registry: Registry, deadline_s: float, now: float, *, is_final: bool = False
) -> None:
    """Nobody new from now on, and nobody after `deadline_s`; `is_final`: the process ends then."""
    drain = registry.intake.drain
    people = ((room.id, len(room.participants)) for room in registry.rooms.values())
    drain.begin(now + deadline_s, now, people, is_final=is_final)
    assert drain.deadline is not None
    registry.tell(ServerDraining(deadline_ms=_ms(drain.deadline - now)))


def continue_draining(registry: Registry, now: float) -> None:
    """Tell the next rooms; when the time is over, close the next."""
    drain = registry.intake.drain
    for room_id, migrate_by in drain.take_notices(ROOMS_TOLD_PER_TURN):
        assert drain.deadline is not None, "there is one as long as there are notices"
        if room_id in registry.rooms:
            body = ServerDraining(
                deadline_ms=_ms(drain.deadline - now),
                migrate_by=_ms(registry.wall_at_zero + migrate_by),
            )
            registry.tell(body, room_id)
    if drain.is_due(now):
        _empty_some(registry, now)


def _empty_some(registry: Registry, now: float) -> None:
    """Everybody leaves as `drained` and rooms close, up to so many of both this time.

    A room with more people than that is left by some, and closes when the rest can leave.
    """
    people_max = DRAINED_PEOPLE_PER_TURN
    for room in list(islice(registry.rooms.values(), DRAINED_PER_TURN)):
        some = list(islice(room.participants, people_max + 1))
        if len(some) > people_max:
            for name in some[:people_max]:
                registry.depart(registry.peer(room, name), LeaveReason.DRAINED, now)
            break
        people_max -= len(some)
        registry.close_room(room, REASON_DRAINED, now, leave_reason=LeaveReason.DRAINED)
    if not registry.rooms:
        registry.intake.drain.finish()


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1_000))
