"""The rules find faults: a server that breaks one of them is caught, each time by that rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from control.commands import AnyCommand, TrackMute
from control.events import ParticipantLeft, SpeakersChanged
from control.types import ActiveSpeaker, LeaveReason, Role
from sfu.fast import Batch
from sfu.worker.worker import Worker
from tests.sim.expectations import Hears
from tests.sim.network import Conditions
from tests.sim.scenario import (
    Blackhole,
    Heal,
    Join,
    Leave,
    Link,
    Mute,
    Run,
    Scenario,
    Step,
    Talk,
    Unmute,
    Vanish,
)
from tests.sim.scenarios.speaking import STEADY, listener
from tests.sim.simulation import Simulation
from tests.sim.truth import Violation

Datagram = tuple[bytes, bytes]

START: tuple[Step, ...] = (
    Join("red", shape=STEADY),
    Join("blue", shape=STEADY),
    listener("white"),
    listener("black"),
    Run(1.0),
    Talk("red"),
    Talk("blue"),
    Run(1.0),
)


class Tampering:
    """A server in front of the worker that does one thing wrong; here nothing yet."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.now = 0.0
        self.media = 0
        self._drained: list[Datagram] = []
        self._batch = Batch(256, 256 * 2_048)

    def receive(self, inbox: Batch, now: float) -> None:
        self.now = now
        self.worker.receive(inbox, now)

    def handle_timer(self, now: float) -> None:
        self.now = now
        self.worker.handle_timer(now)

    def execute(self, command: AnyCommand, now: float) -> Any:
        self.now = now
        return self.worker.execute(command, now)

    def drain(self, outbox: Batch) -> bool:
        more = True
        while more:
            more = self.worker.drain(self._batch)
            for datagram in self._batch:
                self._drained += self.change(*datagram)
            self._batch.clear()
        while self._drained and outbox.append(*self._drained[0]):
            del self._drained[0]
        return bool(self._drained)

    def change(self, data: bytes, address: bytes) -> list[Datagram]:
        """What is sent instead of a datagram."""
        if data[0] >= 128 and not 192 <= data[1] <= 223:
            self.media += 1
            return self.change_media(data, address)
        return [(data, address)]

    def change_media(self, data: bytes, address: bytes) -> list[Datagram]:
        """What is sent instead of a media packet."""
        return [(data, address)]

    def events(self) -> list[Any]:
        return self.worker.events()

    def next_deadline(self) -> float | None:
        return self.worker.next_deadline()


class IgnoresMute(Tampering):
    def execute(self, command: AnyCommand, now: float) -> Any:
        return None if isinstance(command, TrackMute) else super().execute(command, now)


class SendsToAnother(Tampering):
    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self.addresses: list[bytes] = []

    def change_media(self, data: bytes, address: bytes) -> list[Datagram]:
        if address not in self.addresses:
            self.addresses.append(address)
        return [(data, self.addresses[0])]


class SendsTwice(Tampering):
    def change_media(self, data: bytes, address: bytes) -> list[Datagram]:
        return [(data, address)] * (2 if self.media % 50 == 0 else 1)


class LosesSome(Tampering):
    def change_media(self, data: bytes, address: bytes) -> list[Datagram]:
        return [] if self.media % 50 == 0 else [(data, address)]


class Delays(Tampering):
    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self.held: list[Datagram] = []

    def change_media(self, data: bytes, address: bytes) -> list[Datagram]:
        held, self.held = self.held, [(data, address)]
        return held


class SendsAfterTheEnd(Tampering):
    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self.first: list[Datagram] = []

    def change(self, data: bytes, address: bytes) -> list[Datagram]:
        self.first = self.first or [(data, address)]
        return [*self.first, (data, address)] if self.now > 3.0 else [(data, address)]


class NeverEnds(Tampering):
    def drain(self, outbox: Batch) -> bool:
        super().drain(outbox)
        return True


class IsAlwaysLate(Tampering):
    def next_deadline(self) -> float | None:
        return self.now


class ForgetsTimers(Tampering):
    def next_deadline(self) -> float | None:
        """It only goes on with handshakes that have begun."""
        return self.now if self.worker.sizes()["dtls_waiting"] else None


class HidesLeaving(Tampering):
    def events(self) -> list[Any]:
        return [e for e in super().events() if not isinstance(e.body, ParticipantLeft)]


class NamesTheDeparted(Tampering):
    def events(self) -> list[Any]:
        events = super().events()
        for index, event in enumerate(events):
            if isinstance(event.body, SpeakersChanged):
                speakers = [ActiveSpeaker(participant="nobody", level=20, slot=None)]
                body = SpeakersChanged(revision=event.body.revision, speakers=speakers)
                events[index] = event._replace(body=body)
        return events


class GivesAnotherReason(Tampering):
    def events(self) -> list[Any]:
        events = super().events()
        for index, event in enumerate(events):
            if isinstance(event.body, ParticipantLeft):
                body = ParticipantLeft(
                    participant=event.body.participant,
                    reason=LeaveReason.BANNED,
                    generation=event.body.generation,
                )
                events[index] = event._replace(body=body)
        return events


class SendsNoReports(Tampering):
    def change(self, data: bytes, address: bytes) -> list[Datagram]:
        if data[0] >= 128 and 192 <= data[1] <= 223:
            return []
        return super().change(data, address)


class LosesBeforeReports(Tampering):
    """What the reports claim as sent was not; the loss itself is at the very beginning."""

    def change_media(self, data: bytes, address: bytes) -> list[Datagram]:
        return [] if self.media == 1 else [(data, address)]


LEAVING = (Leave("red"), Run(2.0))
MUTING = (Mute("red"), Run(1.0), Unmute("red"), Run(1.0))
DYING = (Vanish("red"), Run(23.0))

CASES: list[tuple[Callable[[Worker], Tampering], tuple[Step, ...], str]] = [
    (IgnoresMute, MUTING, "audience"),
    (SendsToAnother, (Run(1.0),), "wire"),
    (SendsTwice, (Run(1.0),), "wire"),
    (LosesSome, (Run(2.0),), "continuity"),
    (Delays, (Run(1.0),), "audience"),
    (SendsAfterTheEnd, LEAVING, "after the end"),
    (NeverEnds, (), "drain"),
    (IsAlwaysLate, (), "deadline"),
    (ForgetsTimers, DYING, "consent"),
    (HidesLeaving, LEAVING, "sizes"),
    (NamesTheDeparted, (Run(1.0),), "speakers"),
    (GivesAnotherReason, LEAVING, "reason"),
    (SendsNoReports, (Run(9.0),), "reports"),
    (LosesBeforeReports, (Run(9.0),), "reports"),
]


def run(steps: tuple[Step, ...], wrap: Callable[[Worker], Tampering] | None = None) -> Simulation:
    simulation = Simulation(Scenario("tampered", START + steps), 1, wrap=wrap)
    simulation.run()
    return simulation


@pytest.mark.parametrize(("wrap", "steps", "rule"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_fault_is_found_by_its_rule(
    wrap: Callable[[Worker], Tampering], steps: tuple[Step, ...], rule: str
) -> None:
    with pytest.raises(Violation) as caught:
        run(steps, wrap)
    assert caught.value.rule == rule, str(caught.value)


@pytest.mark.parametrize("steps", [LEAVING, MUTING, DYING, (Run(9.0),)], ids=len)
def test_without_a_fault_nothing_is_found(steps: tuple[Step, ...]) -> None:
    run(steps, Tampering)


def test_a_link_that_stays_dead_though_healed_is_found() -> None:
    class NotHealed:
        def apply(self, sim: Simulation) -> None:
            Heal("white").apply(sim)
            down = sim.truth.find("white").client.down
            down.conditions = replace(down.conditions, blackhole=True)

    with pytest.raises(Violation, match="healing"):
        run((Blackhole("white"), Run(2.0), NotHealed(), Run(3.0)))


def test_a_check_for_what_is_not_heard_fails() -> None:
    dead = Conditions(loss=1.0)
    with pytest.raises(Violation, match="does not hear blue"):
        run((Link("blue", dead, "up"), Run(1.0), Hears("white", ("red", "blue"), within_s=0.5)))


def test_a_check_for_what_should_not_be_heard_fails() -> None:
    with pytest.raises(Violation, match="white hears red, blue"):
        run((Hears("white", ("red",), only=True),))


def test_a_listener_counts_as_one_that_may_not_be_heard() -> None:
    simulation = run((Join("grey", Role.LISTENER, shape=STEADY), Run(0.5), Talk("grey"), Run(1.0)))
    grey = simulation.truth.find("grey")
    assert grey.client.microphone is not None
    uplink = grey.client.microphone.uplink
    assert len(uplink) > 0
    assert not any(uplink.audible)
