"""What commands about whole rooms do: settings, locks, mutes of everybody, sync, and their end."""

from __future__ import annotations

from control.commands import RoomCreate
from control.events import ParticipantLeft, RoomClosed
from control.types import LeaveReason
from tests.worker.harness import Bench


def test_an_orphaned_room_ends_with_its_connections() -> None:
    bench = Bench(join_timeout_s=1_000.0)
    bench.run(RoomCreate(room="r", orphan_policy="close", orphan_timeout_s=30))
    bench.join("p")
    bench.wait(29.9)
    bench.told.clear()
    bench.wait(0.2)
    assert [body for _, body in bench.told] == [
        ParticipantLeft(participant="p", reason=LeaveReason.ROOM_CLOSED, generation=1),
        RoomClosed(reason="orphaned"),
    ]
    assert not any(count for name, count in bench.worker.sizes().items() if name != "timers")
    assert bench.worker.counters()["left_room_closed"] == 1
