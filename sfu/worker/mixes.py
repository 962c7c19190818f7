"""The rooms' mixes: which are made, from when on and for how long, and the way of their sound.

Theory. A mix is a stream like any other: a slot of the forwarder that nobody holds, onto which the
frames of one encoder are pushed. So RED, repeats and numbering come for free, and a listener goes
from a slot to a mix and back by one table write. A room has one mix for each tier, which everybody
shares, and for each who may be heard one of its own: everything but its echo group. What is mixed
are the room's slots: taps bring their packets here, speakers are described to the mixer before
their first packet, and frames come back to be pushed. Only who holds a slot is decoded.

A mix begins with the first who asks for it and ends LINGER_S after the last has gone, so that a
line that wavers between two tiers finds the encoder running. Who has gone is seen by what egresses
carry, at a look every second: nobody says goodbye, so nothing can be forgotten. With its last mix a
room's taps are off, and a room without taps costs nothing.

The arithmetic is `sfu.mixing`, behind a `MixPort`: in a thread of its own in the daemon, in line in
the simulator. Should it break, all mixes cease at once and listeners go to what remains; when it is
back, everything that is still carried is ordered anew.

files: `mix_outputs` one room's mixes, `mix_sources` what the mixer is told of speakers, `mix_port`
the way to the arithmetic and back.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING

from sfu.listening.tiers import MIXES, Tier
from sfu.mixing.orders import Frame, Order, Packet
from sfu.worker.mix_outputs import MixKey, Output, RoomMixes
from sfu.worker.mix_port import MixPort, Taken

if TYPE_CHECKING:
    from sfu.fast import Forwarder
    from sfu.stage import Room
    from sfu.worker.peers import Peers

# How often it is looked at what nobody hears any more.
LOOK_EVERY_S = 1.0
# What mixing takes of a core (EPYC, 2 GHz): a room in which three talk, and each mix of it. All of
# them together are kept to SHARE_MAX, so that ticks end in time beside a busy loop; and where they
# take more than that, nobody new comes once LOAD_MAX is really used. Who asks then hears slots.
ROOM_SHARE, OUTPUT_SHARE = 0.013, 0.01
# Of that, what counts while nobody in the room speaks. It takes a fiftieth; but some of those that
# are silent begin to speak, and what is not foreseen of that is shed.
QUIET_PART = 0.1
SHARE_MAX = 0.6
LOAD_MAX = 0.7
# Above this ticks are late for everybody. Then the newest mixes end, this share of them in a look.
SHED_ABOVE = 0.95
SHED_SHARE = 0.2
# A frame that follows the last within this follows it without a pause.
PAUSE_S = 0.001

COUNTERS = ("mix_frames", "mix_frames_refused", "mixes_refused", "mixes_shed", "mixes_started")


class Mixes:
    """Of one worker; without a `port` there are none.

    `on_change` is called with each room whose mixes break off, or may begin again: its listeners
    are to be sent what there is. The forwarder's tables may be written then.
    """

    def __init__(
        self,
        forwarder: Forwarder,
        peers: Peers,
        *,
        port: MixPort | None,
        counters: Counter[str],
        on_change: Callable[[Room, float], None],
    ) -> None:
        self._on_change = on_change
        self._forwarder = forwarder
        self._peers = peers
        self._port = port
        self._counters = counters
        counters.update(dict.fromkeys(COUNTERS, 0))
        self._mixed: dict[Room, RoomMixes] = {}  # those that have outputs
        self._by_output: dict[int, tuple[RoomMixes, Output]] = {}
        self._by_slot: dict[int, tuple[RoomMixes, int]] = {}
        self._frames: deque[tuple[Output, Frame]] = deque()
        self._orders: list[Order] = []  # that the port does not have yet
        self._last_number = 0
        self._starts = 0 if port is None else port.starts
        self._was_running = port is not None and port.is_running
        self._next_look_at = 0.0

    @property
    def is_available(self) -> bool:
        """Whether anybody can be sent a mix at this time."""
        return self._port is not None and self._port.is_running

    def sizes(self) -> dict[str, int]:
        """How many there are now, by name."""
        return {"rooms_mixed": len(self._mixed), "mixes": len(self._by_output)}

    # Rooms

    def open(self) -> RoomMixes | None:
        """The mixes of a new room, whose `room` is to be set; None where there are none."""
        if self._port is None:
            return None
        return RoomMixes(
            self._new_number(),
            self._peers,
            add=self._add,
            is_available=self._can_mix,
        )

    def follow(self, room: Room) -> None:
        """Something may have been done to `room`: it may have other slots, or be closed."""
        mixes = self._mixed.get(room)
        if mixes is None:
            return
        if room.is_closed:
            for output in list(mixes.outputs.values()):
                self._drop(mixes, output)
        elif room.slot_ids != mixes.slot_ids:
            self._untap(mixes)
            self._tap(mixes, room)
            self._orders += [mixes.closing(), *mixes.opening()]

    def leave(self, room: Room, source: int) -> None:
        """Whose packets these were leaves `room`: it may be back at once, and hear everybody."""
        mixes = self._mixed.get(room)
        if mixes is not None:
            self._orders += mixes.sources.leave(source)

    # Inputs

    def handle_timer(self, now: float) -> None:
        """Mix what is due if that is done here, and stop what nobody hears any more."""
        if self._port is None or not self._mixed:
            return
        if self._port.handle_timer(now):
            self.receive(now)
        if now >= self._next_look_at:
            self._next_look_at = now + LOOK_EVERY_S
            self._watch_port(now)
            for mixes, output in list(self._by_output.values()):
                if output.is_over(now):
                    self._drop(mixes, output)
            if self._port.load > SHED_ABOVE:
                self._shed(now)

    def receive(self, now: float) -> None:
        """The port has something: frames, which `push_next` sends on, levels, or it broke."""
        if self._port is None:
            return
        frames, measured = self._port.take()  # first: they must not wait for what may fail
        self._watch_port(now)
        for frame in frames:
            _, output = self._by_output.get(frame.output, (None, None))
            if output is not None:  # else it was stopped meanwhile
                output.is_flowing = True
                self._frames.append((output, frame))
        for source, level in measured:
            self._believe(source, level)

    def push_next(self, now: float) -> bool:
        """Push the next frame; drain the forwarder and ask again. False when there is none."""
        while self._frames:
            output, frame = self._frames.popleft()
            if output.number not in self._by_output:
                continue
            ends_at = frame.at + frame.ticks / 48_000
            is_out = self._forwarder.push(
                output.stream(0),
                frame.payload,
                now,
                at=frame.at,
                csrcs=frame.csrcs,
                level=frame.level,
                marker=frame.at - output.ends_at > PAUSE_S,
            )
            self._counters["mix_frames" if is_out else "mix_frames_refused"] += 1
            output.ends_at = ends_at
            if is_out:
                return True
        return False

    def collect(self, now: float) -> None:
        """After a drained input: orders go to the mixer, and what came on the tapped slots."""
        if self._port is None or not (self._mixed or self._orders):
            return
        taken: list[Taken] = []
        by_slot: dict[int, list[Packet]] = {}
        for tapped in self._forwarder.taken():
            by_slot.setdefault(tapped.slot, []).append(Packet(*tapped[1:]))
        for slot, packets in by_slot.items():
            mixes, index = self._by_slot.get(slot, (None, 0))
            if mixes is not None and mixes.room is not None:
                sources = {packet.source: None for packet in packets}
                self._orders += mixes.sources.describe(sources, mixes.room)
                taken.append(Taken(mixes.number, index, packets))
        # One that has started anew must be told of the rooms first, which `receive` does.
        if (self._orders or taken) and self._port.starts == self._starts:
            orders, self._orders = self._orders, []
            self._port.send(orders, taken, now)

    def next_deadline(self) -> float | None:
        """When `handle_timer` has something to do, None for never."""
        if self._port is None or not self._mixed:
            return None
        mixing = self._port.next_deadline()
        return self._next_look_at if mixing is None else min(mixing, self._next_look_at)

    # Inside

    def _can_mix(self) -> bool:
        return self.is_available

    def _new_number(self) -> int:
        self._last_number += 1
        return self._last_number

    def _add(self, mixes: RoomMixes, key: MixKey) -> Output | None:
        """Begin a mix; None when there are as many as there can be."""
        assert mixes.room is not None, "it was opened with its room"
        slot = self._free_slot(mixes, key)
        if slot is None:
            self._counters["mixes_refused"] += 1
            return None
        output = Output(self._new_number(), key, slot, self._forwarder)
        mixes.outputs[key] = output
        self._by_output[output.number] = (mixes, output)
        self._counters["mixes_started"] += 1
        if mixes.room in self._mixed:
            self._orders.append(mixes.starting(output))
        else:
            self._mixed[mixes.room] = mixes
            self._tap(mixes, mixes.room)
            self._orders += mixes.opening()
        return output

    def _is_full(self, mixes: RoomMixes) -> bool:
        """Whether one more mix, of this room, would be too many for one core."""
        assert self._port is not None, "asked only where there is one"
        if self._port.load > LOAD_MAX:
            return True
        share = _share(mixes, len(mixes.outputs) + 1)
        for other in self._mixed.values():
            if other is not mixes:
                share += _share(other, len(other.outputs))
        return share > SHARE_MAX

    def _free_slot(self, mixes: RoomMixes, key: MixKey) -> int | None:
        if self._is_full(mixes):
            return None
        if key.minus is not None and not mixes.has_room_for_one:
            return None
        try:
            return self._forwarder.add_slot(lean=MIXES[Tier(key.tier)].is_lean)
        except OverflowError:  # rooms have taken all that the tables hold
            return None

    def _drop(self, mixes: RoomMixes, output: Output) -> None:
        """End a mix, and with the last of a room all of its mixing."""
        assert mixes.room is not None, "it has outputs"
        del mixes.outputs[output.key]
        del self._by_output[output.number]
        self._forwarder.remove_slot(output.slot)
        if mixes.outputs:
            self._orders.append(mixes.stopping(output))
        else:
            del self._mixed[mixes.room]
            self._untap(mixes)
            self._orders.append(mixes.closing())

    def _shed(self, now: float) -> None:
        """End the newest mixes: their listeners are to be sent what remains."""
        count = ceil(SHED_SHARE * len(self._by_output))
        rooms: dict[Room, None] = {}
        for mixes, output in list(self._by_output.values())[-count:]:
            assert mixes.room is not None, "it has outputs"
            rooms[mixes.room] = None
            self._drop(mixes, output)
            self._counters["mixes_shed"] += 1
        for room in rooms:
            self._on_change(room, now)

    def _tap(self, mixes: RoomMixes, room: Room) -> None:
        mixes.slot_ids = tuple(room.slot_ids)
        for index, slot in enumerate(mixes.slot_ids):
            self._by_slot[slot] = (mixes, index)
            self._forwarder.tap(slot, True)

    def _untap(self, mixes: RoomMixes) -> None:
        """Slots that are gone took their taps along."""
        left = () if mixes.room is None else mixes.room.slot_ids
        for slot in mixes.slot_ids:
            del self._by_slot[slot]
            if slot in left:
                self._forwarder.tap(slot, False)
        mixes.slot_ids = ()

    def _watch_port(self, now: float) -> None:
        """Notice that it broke, and that it is back and knows nothing any more."""
        assert self._port is not None, "asked only where there is one"
        is_running, starts = self._port.is_running, self._port.starts
        if starts == self._starts and is_running is self._was_running:
            return
        if starts != self._starts:
            # Orders that were not sent are in here as well.
            self._orders = [order for mixes in self._mixed.values() for order in mixes.opening()]
        self._starts, self._was_running = starts, is_running
        for _, output in self._by_output.values():
            output.is_flowing = False
        for room in list(self._mixed):
            self._on_change(room, now)

    def _believe(self, source: int, level: int | None) -> None:
        """What was decoded counts, for as long as the mixer says so."""
        peer = self._peers.by_source(source)
        mixes = None if peer is None else self._mixed.get(peer.room)
        if mixes is not None and source in mixes.sources:
            self._forwarder.set_measured_level(source, level)


def _share(mixes: RoomMixes, outputs: int) -> float:
    """What a room with so many mixes counts for."""
    assert mixes.room is not None, "it was opened with its room"
    share = ROOM_SHARE + outputs * OUTPUT_SHARE
    return share if mixes.room.is_flowing else QUIET_PART * share
