"""A worker with mixes: a port that keeps what it is given, and voices that reach the slots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from control.commands import SubscriptionUpdate
from control.types import Role
from sfu.fast import Batch
from sfu.mixing import Frame, Order, StartOutput
from sfu.stage import Room
from sfu.worker.mix_outputs import RoomMixes
from sfu.worker.mix_port import Mixed, MixPort, Taken
from tests.fast.peer import FRAME_TICKS, Peer, level_block, rtp
from tests.worker.harness import Bench, offer

SPEECH = b"\x78" + bytes(range(79))  # 20 ms, too long to be comfort noise


class KeptPort:
    """Keeps orders and packets; gives back what a test puts in."""

    def __init__(self) -> None:
        self.is_running = True
        self.starts = 1
        self.load = 0.0
        self.orders: list[Order] = []
        self.taken: list[Taken] = []
        self.sent: list[object] = []  # both, in order
        self.frames: list[Frame] = []
        self.levels: list[tuple[int, int | None]] = []

    def send(self, orders: Sequence[Order], taken: Sequence[Taken], now: float) -> None:
        self.orders += orders
        self.taken += taken
        self.sent += [*orders, *taken]

    def take(self) -> Mixed:
        mixed = Mixed(self.frames, self.levels)
        self.frames, self.levels = [], []
        return mixed

    def handle_timer(self, now: float) -> bool:
        return False

    def next_deadline(self) -> float | None:
        return None

    def forget(self) -> list[Order]:
        """The orders so far, which are not told again."""
        orders, self.orders = self.orders, []
        self.taken, self.sent = [], []
        return orders


class Voice:
    """A speaker of the room whose packets come through its own connection."""

    def __init__(self, bench: Bench, participant: str, number: int) -> None:
        peer = bench.worker._registry.peers.of("r", participant)
        assert peer is not None
        self._bench = bench
        self.source = peer.source
        self._client = Peer(number)
        self._sequence, self._timestamp = 100 * number, 0
        forwarder = bench.worker.forwarder
        forwarder.set_keys(peer.row, *self._client.server_sessions())
        forwarder.allow(peer.row, self._client.address)

    def talk(self, frames: int = 1, *, level: int = 20) -> None:
        """So many packets, 20 ms apart; time goes on with them."""
        for _ in range(frames):
            plain = rtp(
                self._sequence,
                self._timestamp,
                SPEECH,
                ssrc=0x5000 + self._client.number,
                extension=level_block(level),
            )
            self._sequence += 1
            self._timestamp += FRAME_TICKS
            inbox = Batch(1, 2048)
            assert inbox.append(self._client.say(plain), self._client.address)
            self._bench.worker.receive(inbox, self._bench.now)
            self._bench.drain()
            self._bench.wait(0.02)


class MixBench(Bench):
    """A room `r` with a mixer behind `port`."""

    def __init__(self, port: MixPort, **limits: Any) -> None:
        super().__init__(mixing=port, **limits)
        self.room()

    @property
    def the_room(self) -> Room:
        return self.worker._registry.rooms["r"]

    @property
    def mixes(self) -> RoomMixes:
        """Of the room."""
        mixes = self.the_room.subscriptions._mixes
        assert isinstance(mixes, RoomMixes)
        return mixes

    def listen(self, participant: str, role: Role = Role.LISTENER, **fields: Any) -> None:
        """Somebody who wants the mix alone."""
        self.join(participant, role, offer=offer(lines=4), **fields)
        self.run(SubscriptionUpdate(room="r", participant=participant, mode="mix"))

    def mixed(self, port: KeptPort, *frames: Frame) -> None:
        """The port has frames."""
        port.frames += frames
        self.worker.receive_mixed(self.now)
        self.drain()

    def frame(self, output: int, **fields: Any) -> Frame:
        """20 ms that end now."""
        shape: dict[str, Any] = {"at": self.now - 0.02, "ticks": 960, "level": 30, "csrcs": ()}
        return Frame(room=self.mixes.number, output=output, payload=SPEECH, **(shape | fields))


def starts(port: KeptPort) -> list[StartOutput]:
    """The outputs that were ordered; no order is told again."""
    return [order for order in port.forget() if isinstance(order, StartOutput)]


def follow(bench: MixBench, participant: str, tier: str) -> bool:
    """What the ladder does."""
    done = bench.the_room.subscriptions.follow(participant, tier, 0, "loss", bench.now)
    bench.drain()
    return done
