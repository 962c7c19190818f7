"""One run of a scenario with one seed: the real worker in a simulated world, always checked."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from control.commands import (
    ParticipantJoin,
    ParticipantRemove,
    ParticipantSetRole,
    RoomClose,
    RoomCreate,
    TrackMute,
    TrackUnmute,
)
from control.types import LeaveReason, Role
from sfu.mixing import Mixer
from sfu.transport.address import pack_address
from sfu.transport.candidates import Candidate
from sfu.worker.segmentation import SegmentationMode
from sfu.worker.settings import WorkerSettings
from sfu.worker.worker import Worker
from tests.sim.audience import AudienceChecker
from tests.sim.checkers import (
    Checker,
    ContinuityChecker,
    CopyChecker,
    HealingChecker,
    PresenceChecker,
    ReceptionChecker,
    RepeatChecker,
    SizesChecker,
    SpeakersChecker,
)
from tests.sim.client import SIGNALLING_S, SimClient
from tests.sim.fake_dtls import FakeDtlsFactory
from tests.sim.mixing import RecordedMixing
from tests.sim.network import Link
from tests.sim.offer import build_offer, faults_of, parse_answer
from tests.sim.reports import ReportChecker
from tests.sim.scenario import Join, Run, Scenario, Step
from tests.sim.shape import ClientShape, with_repairs
from tests.sim.tiers import StampChecker, TierChecker
from tests.sim.truth import Member, RoomTruth, Truth, Violation
from tests.sim.world import Server, World

WALL_AT_ZERO = 1_700_000_000.0
SERVER = Candidate("1", 2_130_706_431, "192.0.2.1", 7800)
# What is still under way at the end arrives.
# One tick of sound, and the microsecond by which timers are rounded.
HOLD_S = 0.020 + 1e-5
EPILOGUE_S = 0.8


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to; equal for equal scenario and seed."""

    trace_hash: str
    virtual_s: float
    delivered: int
    events: int


class Simulation:
    """What the steps of a scenario act on.

    `wrap` puts something between the worker and the world, to see that the rules find its faults;
    `log` gets a line for everything that happens.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        *,
        wrap: Callable[[Worker], Server] | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.scenario = scenario
        self.seed = f"{scenario.name}/{seed}"
        self.random = random.Random(f"{self.seed}/scenario")
        # Half of all runs send each listener's packets of a tick together.
        self.segmentation: SegmentationMode = "on" if seed % 2 else "off"
        # In half of all runs, and half of each kind, clients have means of repair.
        self._repairs = random.Random(f"{self.seed}/repairs") if seed & 2 else None
        self.mixing = RecordedMixing(Mixer(0.0))
        self.worker = Worker(
            WorkerSettings(node="simulation", version="0", segmentation=self.segmentation),
            dtls=FakeDtlsFactory(f"{self.seed}/dtls"),
            candidates=[SERVER],
            entropy=random.Random(f"{self.seed}/entropy").randbytes,
            epoch="simulation",
            wall_at_zero=WALL_AT_ZERO,
            mixing=self.mixing,
        )
        # A small outbox is filled in the middle of a fan-out, a large one never.
        server = self.worker if wrap is None else wrap(self.worker)
        self.world = World(server, outbox_datagrams=self.random.choice((4, 32, 256)), log=log)
        self.healing = HealingChecker()
        self.checkers: list[Checker] = [
            AudienceChecker(HOLD_S if self.segmentation == "on" else 0.0, self.mixing),
            ContinuityChecker(),
            ReceptionChecker(self.worker.counters),
            CopyChecker(),
            RepeatChecker(),
            ReportChecker(WALL_AT_ZERO),
            StampChecker(),
            TierChecker(),
            PresenceChecker(),
            SpeakersChecker(),
            SizesChecker(self.worker.sizes),
            self.healing,
        ]
        self._addresses = 0

    @property
    def truth(self) -> Truth:
        """What the simulator knows."""
        return self.world.truth

    def run(self) -> Outcome:
        """All steps; raises `Violation` at the first broken rule."""
        epilogue: tuple[Step, ...] = (Run(EPILOGUE_S),)
        for step in self.scenario.steps + epilogue:
            step.apply(self)
            self.check()
        self.check(final=True)
        return Outcome(
            self.world.trace_hash,
            self.world.now,
            sum(client.counts.media_received for client in self.world.clients),
            len(self.truth.events),
        )

    def check(self, *, final: bool = False) -> None:
        """Let every checker look."""
        for checker in self.checkers:
            checker.check(self.world, final=final)

    # What steps ask for

    def join(self, step: Join) -> None:
        """A new client joins and, a moment later, begins to connect."""
        now = self.world.now
        index = len(self.world.clients)
        seed = f"{self.seed}/client/{index}"
        client = SimClient(
            step.name,
            index,
            seed,
            self._shape_of(step),
            self.world,
            Link(f"{seed}/up", step.up),
            Link(f"{seed}/down", step.down),
        )
        self.create(step.room)
        former = step.address_of and self.truth.find(step.address_of).client.address
        client.addresses.append(former or self._new_address(step.family))
        replaced = self._present(step.room, step.name)
        if replaced is not None:
            replaced.expected_reason = LeaveReason.REPLACED
        result = self.world.execute(
            ParticipantJoin(
                room=step.room,
                participant=step.name,
                role=step.role,
                offer=build_offer(client.offer),
                echo_group=step.echo_group,
                muted=step.muted,
            )
        )
        answer = parse_answer(result.answer)
        for fault in faults_of(client.offer, answer):
            raise Violation("answer", f"to {step.name}: {fault}")
        client.apply(answer)
        client.downlink.mixes = self.mixing.mixes
        self.world.clients.append(client)
        self.truth.add(
            Member(
                client=client,
                room=step.room,
                participant=step.name,
                number=result.participant.number,
                generation=result.participant.generation,
                echo_group=step.echo_group or f"{step.room}/{step.name}",
                role=step.role,
                muted=step.muted,
                joined_at=now,
            )
        )
        self.world.clock.at(now + SIGNALLING_S, client.start)

    def mute(self, name: str, *, lock: bool) -> None:
        """The backend mutes a participant."""
        member = self.truth.find(name)
        self.world.execute(TrackMute(room=member.room, participant=name, lock=lock))
        member.change(self.world.now, muted=True)

    def unmute(self, name: str, *, lock: bool) -> None:
        """The backend unmutes a participant."""
        member = self.truth.find(name)
        self.world.execute(TrackUnmute(room=member.room, participant=name, lock=lock))
        member.change(self.world.now, muted=False)

    def set_role(self, name: str, role: Role) -> None:
        """The backend promotes or demotes a participant."""
        member = self.truth.find(name)
        command = ParticipantSetRole(room=member.room, participant=name, role=role)
        result = self.world.execute(command)
        member.change(self.world.now, role=role)
        if result.participant.role is not role or result.participant.muted is not member.muted:
            raise Violation("role", f"{name} became {result.participant}")

    def remove(self, name: str) -> None:
        """The backend removes a participant."""
        member = self.truth.find(name)
        member.expected_reason = LeaveReason.REMOVED
        self.world.execute(ParticipantRemove(room=member.room, participant=name))

    def close_room(self, room: str) -> None:
        """The backend closes a room."""
        for member in self.truth.present(room):
            member.expected_reason = LeaveReason.ROOM_CLOSED
        self.world.execute(RoomClose(room=room))
        del self.truth.rooms[room]

    def drain(self) -> None:
        """The server is told to go away."""
        for member in self.truth.present():
            member.expected_reason = LeaveReason.DRAINED
        self.world.call(self.worker.drain_participants)
        self.truth.rooms.clear()

    def rebind(self, name: str, *, aware: bool) -> None:
        """A participant's address changes."""
        client = self.truth.find(name).client
        client.rebind(self._new_address(), self.world.now, aware=aware)

    def heard_lately(self, name: str, within_s: float) -> list[str]:
        """Whom this listener could hear in the last `within_s`, in the order they joined."""
        listener = self.truth.find(name)
        downlink = listener.client.downlink
        since = self.world.now - within_s
        return [
            member.participant
            for member in self.truth.members
            if downlink.last_delivered.get(member.client.index, -1.0) > since
            or (
                member.stay_at(since).room == listener.room
                and downlink.last_mixed.get(member.number, -1.0) > since
            )
        ]

    def longest_gap(self, name: str, within_s: float) -> float:
        """The longest time without a delivery to this listener in the last `within_s`."""
        client = self.truth.find(name).client
        since = self.world.now - within_s
        times = sorted(
            heard.delivered
            for track in client.downlink.tracks.values()
            for heard in track
            if heard.delivered is not None and heard.delivered > since
        )
        edges = [since, *times, self.world.now]
        return max(after - before for before, after in zip(edges, edges[1:], strict=False))

    def create(self, room: str) -> None:
        """The backend makes a room unless it is there."""
        if room in self.truth.rooms:
            return
        scenario = self.scenario
        self.world.execute(
            RoomCreate(room=room, slots=scenario.slots, max_speakers=scenario.max_speakers)
        )
        self.truth.rooms[room] = RoomTruth(room, scenario.slots)

    def _shape_of(self, step: Join) -> ClientShape:
        if self._repairs is None:
            return step.shape
        return with_repairs(step.shape, self._repairs)

    def _present(self, room: str, name: str) -> Member | None:
        for member in self.truth.present(room):
            if member.participant == name:
                return member
        return None

    def _new_address(self, family: str = "any") -> bytes:
        """An address that nobody ever had, one in four of any family is IPv6."""
        self._addresses += 1
        number = self._addresses
        is_ipv6 = self.random.random() < 0.25 if family == "any" else family == "ipv6"
        if is_ipv6:
            return pack_address(f"2001:db8::{number:x}", 40_000)
        return pack_address(f"198.18.{number // 250}.{number % 250 + 1}", 40_000 + number)
