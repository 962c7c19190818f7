"""A worker without a network: commands and hand-made datagrams in, events out."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from control.commands import AnyCommand, ParticipantJoin, RoomCreate
from control.events import EventBody
from control.types import Role
from sfu.fast import Batch
from sfu.transport.candidates import Candidate
from sfu.worker import Worker, WorkerSettings
from sfu.worker.invariant import Breach
from sfu.worker.mix_port import MixPort
from tests.sim.fake_dtls import FakeDtlsFactory, fingerprint_of
from tests.sim.offer import OfferShape, build_offer

CANDIDATE = Candidate(foundation="1", priority=1, host="192.0.2.1", port=7800)


class Bench:
    """One worker with a settable time; every input is followed by a full drain."""

    def __init__(
        self,
        *,
        on_bug: Callable[[Exception], None] | None = None,
        on_breach: Callable[[Breach], None] = lambda breach: None,
        mixing: MixPort | None = None,
        **limits: Any,
    ) -> None:
        self.now = 100.0
        self.sent: list[tuple[bytes, bytes]] = []
        self.told: list[tuple[str | None, EventBody]] = []
        self.worker = Worker(
            WorkerSettings(node="n", version="0", **limits),
            dtls=FakeDtlsFactory("seed"),
            candidates=[CANDIDATE],
            entropy=random.Random(1).randbytes,
            epoch="e",
            wall_at_zero=1_000_000.0,
            on_bug=on_bug,
            on_breach=on_breach,
            mixing=mixing,
        )

    def run(self, command: AnyCommand) -> Any:
        """Execute and drain."""
        try:
            return self.worker.execute(command, self.now)
        finally:
            self.drain()

    def receive(self, data: bytes, address: bytes) -> None:
        """One datagram, then drain."""
        inbox = Batch(1, 2048)
        assert inbox.append(data, address)
        self.worker.receive(inbox, self.now)
        self.drain()

    def wait(self, seconds: float) -> None:
        """Let time pass, from deadline to deadline."""
        end = self.now + seconds
        while (deadline := self.worker.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.worker.handle_timer(self.now)
            self.drain()
        self.now = end

    def drain(self) -> None:
        """Take everything that comes out, through a small outbox."""
        outbox = Batch(2, 4096)
        while True:
            more = self.worker.drain(outbox)
            self.sent.extend(outbox)
            outbox.clear()
            if not more:
                break
        self.told.extend(self.worker.events())

    def methods(self) -> list[str]:
        """Names of the events so far, then forget them."""
        told, self.told = self.told, []
        return [body.method for _, body in told]

    def room(self, name: str = "r", **fields: Any) -> None:
        """Create a room and forget the event."""
        self.run(RoomCreate(room=name, **fields))
        self.methods()

    def join(self, participant: str, role: Role = Role.LISTENER, **fields: Any) -> Any:
        """Join room `r` with a good offer."""
        return self.run(
            ParticipantJoin(
                **{"room": "r", "participant": participant, "role": role, "offer": offer()} | fields
            )
        )


def offer(**fields: Any) -> str:
    """What a browser would offer."""
    shape = {"ufrag": "abcd", "pwd": "p" * 24, "fingerprint": fingerprint_of(b"certificate")}
    return build_offer(OfferShape(**(shape | fields)))
