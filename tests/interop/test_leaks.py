"""Joining and leaving leaves nothing behind: no task, descriptor, table row, timer or memory."""

from __future__ import annotations

import asyncio
import re

import pytest

from control import Client
from control.types import Role
from deploy.club.peer import Peer
from tests.interop.daemon import Daemon, running
from tests.interop.polling import until

pytestmark = pytest.mark.timeout(120)

JOINS = 200
AT_ONCE = 5
# As many before fill allocators and caches that stay.
WARM_UP = 200
# Under 4 KiB a visit, where a participant is tens; allocators keep a little of their own, once:
# what leaks, leaks in the next round again.
GROWTH_KIB_MAX = 768
ROUNDS_MAX = 3
GAUGES = (
    "rooms",
    "timers",
    "transports",
    "addresses",
    "sources",
    "slots",
    "streams",
    "egresses",
    "loop_tasks",
)
ROOM = "door"
WAYS = ("close", "removed", "replaced", "never connects", "vanishes", "room closes")


def footprint(daemon: Daemon) -> dict[str, float]:
    """What the daemon holds, by name; memory is apart."""
    page = daemon.http("/metrics")
    rows = dict(re.findall(r'^rostrum_([a-z_]+)(?:\{role="\w+"\})? (\S+)$', page, re.MULTILINE))
    held = {name: float(rows[name]) for name in GAUGES}
    # The page itself is read over a connection.
    return held | {"files": daemon.open_files()}


async def come_and_go(control: Client, number: int) -> None:
    """One visit, ended in one of WAYS."""
    way = WAYS[number % len(WAYS)]
    room = f"{ROOM}-{number}" if way == "room closes" else ROOM
    await control.room_create(room=room)
    visitor = f"visitor-{number}"
    role = Role.SPEAKER if number % 2 else Role.LISTENER
    peer = Peer()
    joined = await control.participant_join(
        room=room, participant=visitor, role=role, offer=peer.offer
    )
    if way != "never connects":
        await peer.connect(joined.answer)
        peer.send(b"\xf8\xff\xfe", level=20)
    if way == "room closes":
        await control.room_close(room=room)
    elif way == "replaced":
        again = Peer()
        await control.participant_join(room=room, participant=visitor, role=role, offer=again.offer)
        await control.participant_remove(room=room, participant=visitor)
    elif way in ("removed", "never connects", "vanishes"):
        if way == "vanishes":
            peer.vanish()
        await control.participant_remove(room=room, participant=visitor)
    await peer.close()


async def visits(control: Client, numbers: range) -> None:
    """All visits, a few at a time."""
    for first in numbers[::AT_ONCE]:
        chunk = range(first, min(first + AT_ONCE, numbers.stop))
        await asyncio.gather(*(come_and_go(control, number) for number in chunk))


async def is_empty(control: Client) -> bool:
    snapshot = await control.room_snapshot(room=ROOM)
    return not snapshot.participants


async def test_two_hundred_visits_leave_nothing_behind() -> None:
    with running() as daemon:
        # Answers to commands with keys are held for a minute on purpose.
        async with daemon.client(automatic_keys=False) as control:
            await control.room_create(room=ROOM)
            await visits(control, range(WARM_UP))
            await until_settled(control, daemon)
            before = footprint(daemon)
            for number in range(ROUNDS_MAX):
                memory_before, first = daemon.resident_kib(), WARM_UP + number * JOINS
                await visits(control, range(first, first + JOINS))
                await until_settled(control, daemon)
                await until(
                    lambda: footprint(daemon) == before,
                    lambda: f"before {before}, after {footprint(daemon)}",
                )
                grown = daemon.resident_kib() - memory_before
                if grown < GROWTH_KIB_MAX:
                    break
            assert grown < GROWTH_KIB_MAX, f"grown by {grown} KiB, and not for the first time"
            assert daemon.metric("rostrum_bugs_total") == 0
            assert daemon.metric("rostrum_joins_total") >= WARM_UP + JOINS


async def until_settled(control: Client, daemon: Daemon) -> None:
    """Wait until everybody has left and nothing of a connection is kept."""
    async with asyncio.timeout(30):
        while not await is_empty(control) or footprint(daemon)["transports"]:
            await asyncio.sleep(0.05)
