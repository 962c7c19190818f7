"""`sfuctl watch`: a room live.

`RoomFollower` keeps a `RoomView` true over reconnects and gaps. On a terminal the view is drawn in
place; elsewhere it is printed once, and then one line for each event.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final, TextIO

import msgspec

from control.client import Client
from control.commands import SnapshotResult
from control.errors import ConnectionLost, ControlError, ErrorCode
from control.events import Event, EventsGap, RoomClosed
from control.roomview import RoomView
from control.sfuctl.lines import event_json, event_line
from control.sfuctl.screen import draw
from control.sfuctl.terminal import Terminal
from control.types import Hand, ParticipantState

# Ages change by the second; a busy stage changes more often than eyes follow.
REDRAW_S: Final = 1.0
REDRAW_LEAST_S: Final = 0.1
# A daemon that restarts takes about as long to be asked again.
RETRY_S: Final = 0.5


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


class RoomFollower:
    """One room, followed. `on_change` is called after every change, `on_event` with each event.

    `start` raises what the first snapshot is refused with; `run` goes on until it is cancelled.
    """

    def __init__(
        self,
        client: Client,
        room: str,
        *,
        on_change: Callable[[], None],
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self.view: RoomView
        self._client = client
        self._room = room
        self._on_change = on_change
        self._on_event = on_event
        self._events = client.events(rooms=[room])

    async def start(self) -> None:
        """Subscribe, and take the first snapshot."""
        await self._events.__aenter__()
        self.view = RoomView(await take_snapshot(self._client, self._room))

    async def run(self) -> None:
        """Apply events as they come."""
        async for event in self._events:
            self._on_event(event)
            has_changed = self.view.apply(event)
            is_new_room = event.room == self._room and self.view.closed is not None
            if self.view.is_stale or (is_new_room and not isinstance(event.body, RoomClosed)):
                await self._begin_again()
            if has_changed:
                self._on_change()

    async def _begin_again(self) -> None:
        """A new snapshot in the place of a view that missed something."""
        while True:
            try:
                self.view = RoomView(await take_snapshot(self._client, self._room))
                return
            except ConnectionLost:
                await asyncio.sleep(RETRY_S)
            except ControlError as error:
                if error.code is ErrorCode.NOT_FOUND:
                    self._forget()
                    return
                await asyncio.sleep(RETRY_S)

    def _forget(self) -> None:
        """The daemon knows the room no longer; a room of that name may come yet."""
        assert self._client.hello is not None
        self.view.epoch, self.view.seq = self._client.hello.epoch, 0
        self.view.is_stale = False
        self.view.closed = self.view.closed or "the daemon knows it no longer"


async def take_snapshot(client: Client, room: str) -> SnapshotResult:
    """The state of a room, in pages when it is too large for a frame."""
    try:
        return await client.room_snapshot(room=room)
    except ControlError as error:
        if error.detail.get("limit") != "frame_bytes":
            raise
    return await _snapshot_in_pages(client, room)


async def _snapshot_in_pages(client: Client, room: str) -> SnapshotResult:
    """Behind the last page first: when somebody leaves meanwhile, those behind move one page
    forward, where they are seen again, not past what was looked at already. All events that are
    queued apply, whatever their number: none of them is older than the subscription."""
    assert client.hello is not None
    epoch = client.hello.epoch
    state = await client.room_get(room=room)
    people: dict[str, ParticipantState] = {}
    first = await client.participant_list(room=room)
    size = max(1, len(first.participants))
    for page in range(state.counts.total // size, 0, -1):
        listed = await client.participant_list(room=room, page=page)
        people.update({one.participant: one for one in listed.participants})
    first = await client.participant_list(room=room)
    people.update({one.participant: one for one in first.participants})
    in_order = sorted(people.values(), key=lambda one: one.number)
    raised = sorted((one.hand, one.participant) for one in in_order if one.hand is not None)
    return SnapshotResult(
        room=state,
        participants=in_order,
        hands=[Hand(participant=who, raised_at=at) for at, who in raised],
        epoch=epoch,
        seq=0,
    )


async def watch_live(client: Client, room: str, source: TextIO, target: TextIO) -> None:
    """Draw the room in place until `q`."""
    changed, quit_ = asyncio.Event(), asyncio.Event()

    def on_quit() -> None:
        quit_.set()
        changed.set()

    follower = RoomFollower(client, room, on_change=changed.set)
    await follower.start()
    following = asyncio.create_task(follower.run())
    following.add_done_callback(lambda task: changed.set())
    try:
        with Terminal(source, target, on_quit, changed.set) as terminal:
            while not quit_.is_set() and not following.done():
                changed.clear()
                picture = draw(follower.view, now_ms(), is_connected=client.is_connected)
                terminal.draw([*picture, "", "q quits"])
                await asyncio.sleep(REDRAW_LEAST_S)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), REDRAW_S - REDRAW_LEAST_S)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def watch_lines(
    client: Client, room: str, write: Callable[[str], None], *, as_json: bool = False
) -> None:
    """Print the room once, then its events, and the room again after a gap.

    As JSON each is one line: a snapshot, then events.
    """
    line = event_json if as_json else event_line
    was_gap = False

    def on_event(event: Event) -> None:
        nonlocal was_gap
        was_gap = isinstance(event.body, EventsGap)
        write(line(event))

    def on_change() -> None:
        if was_gap:
            picture()

    def picture() -> None:
        if as_json:
            write(msgspec.json.encode(follower.view.snapshot()).decode())
            return
        write("\n".join(draw(follower.view, now_ms())) + "\n")

    follower = RoomFollower(client, room, on_change=on_change, on_event=on_event)
    await follower.start()
    picture()
    await follower.run()
