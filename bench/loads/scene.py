"""Where a load plays: a target with rooms, the clients in them, and what is measured of both."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from ipaddress import ip_address
from random import Random
from typing import Any, Self, TypeVar

from bench.clients import Client
from bench.crowd import Crowd, Kit
from bench.driver import drive
from bench.handshake import Handshakes
from bench.joining import Joining, Seat
from bench.options import LoadOptions
from bench.quantiles import quantile
from bench.report import Live
from bench.results import Figures, Histogram, Joins, Limit, Verdict
from bench.sampling import Mark, Sampler, figures_of
from bench.selfwatch import SERVER_WAITED_PERCENT_MAX, SelfWatch, complaint
from bench.speech import VOICES, Voice
from bench.talking import Heard, Microphone, Phrasebook, Podium, Spoken, Turn
from bench.targets import Role, Target, TargetError
from bench.targets.processes import read_usage

T = TypeVar("T")

# Speakers have begun and hold their slots by then, so that listeners find something to hear.
WARM_UP_S = 0.5
# Listeners whose beginnings of a turn are looked at; enough for a percentile, and cheap.
TURN_LISTENERS_MAX = 100


@dataclass
class Measured:
    """What a load hands to its report."""

    figures: Figures
    joins: Joins
    verdict: Verdict
    duration_s: float
    counters: dict[str, int]
    notes: list[str] = field(default_factory=list)


class Scene:
    """`insiders` are measured; `visitors` come and go beside them, and are not."""

    def __init__(self, options: LoadOptions, target: Target, live: Live, book: Phrasebook) -> None:
        self.options = options
        self.target = target
        is_ipv6 = ip_address(target.media_address).version == 6
        self.kit = Kit(Handshakes(), Random(options.seed), is_ipv6)
        self.insiders = Crowd(self.kit, decrypt_every=options.decrypt_every)
        self.visitors = Crowd(self.kit, decrypt_every=options.decrypt_every)
        self._crowds = [self.insiders, self.visitors]
        self.watch = SelfWatch()
        self.sampler = Sampler(target, self.insiders, [self.visitors], self.watch, live)
        self.joining = Joining(target)
        self.listeners: list[Client] = []
        self.speakers: list[Client] = []
        self.heard = Heard()
        self.by_room: dict[str, list[Client]] = {}
        self._book = book
        self._voices: dict[int, list[int]] = {}
        self._podiums: list[Podium] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()
        self._window_ns = 0
        self._rss_kib = 0

    async def __aenter__(self) -> Self:
        for work in (drive(self._crowds, self.watch), self.sampler.run()):
            self._tasks.append(asyncio.create_task(work))
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        gc.unfreeze()
        for crowd in self._crowds:
            crowd.close()

    # Preparation

    @property
    def rooms(self) -> list[str]:
        """What the rooms are called."""
        return [f"bench-{number}" for number in range(self.options.rooms)]

    async def fill(self, *, listeners: int) -> None:
        """Make the rooms, let the speakers in and speak, then so many listeners into each room."""
        options = self.options
        rooms = self.rooms
        self.sampler.phase("opening rooms")
        for room in rooms:
            await self.target.create_room(
                room, slots=options.slots, speakers=max(1, options.speakers)
            )
        seats = self._seats(rooms, "speaker", options.speakers)
        # Nobody speaks yet, so their first audio says nothing: their joins are not told.
        await self._take_stage(await self._let_in(seats, Joining(self.target)), rooms)
        if options.speakers:
            await self._sleep(WARM_UP_S)
        self._rss_kib = self._read_rss_kib()
        await self.let_in(listeners)

    async def let_in(self, listeners: int) -> None:
        """So many more listeners into each room."""
        inside = len(self.listeners) // self.options.rooms
        seats = self._seats(self.rooms, "listener", listeners, first=inside)
        joined = await self._let_in(seats, self.joining)
        for seat, client in joined:
            self.listeners.append(client)
            self.by_room.setdefault(seat.room, []).append(client)
        if listeners and not joined:
            failures = self.joining.result().failures
            raise TargetError(f"{self.target.name}: nobody could join: {failures}")

    def add_crowd(self, crowd: Crowd) -> None:
        """Drive these as well, and count what they receive."""
        self._crowds.append(crowd)
        self.sampler.count(crowd)

    async def settle(self) -> None:
        """Until joining no longer shows in anything, if that is asked for."""
        self.sampler.phase("settling")
        gc.collect()
        gc.freeze()
        await self._sleep(self.options.settle_s)

    # Measuring

    async def begin(self) -> None:
        """The measured window begins."""
        self.heard.clear()
        self._window_ns = time.time_ns()
        await self.sampler.begin(self.listeners)

    async def watch_for(self, seconds: float) -> None:
        """Let time pass; raises what went wrong in the meantime."""
        await self._sleep(seconds)

    async def end(self, joining: Joining | None = None) -> tuple[Measured, Mark, Mark]:
        """The window is over: its figures, and the totals at its two ends. `joining`: whose joins
        are told, if not those that filled the rooms.
        """
        begun, ended = await self.sampler.end(self.listeners)
        verdict = self.watch.judge(self.insiders.swarm.totals())
        figures = figures_of(begun, ended, self.sampler.distributions, is_ipv6=self.kit.is_ipv6)
        if not self.options.speakers:
            figures.pop("silent_listeners", None)  # there was nothing to hear
        figures |= self._turn_figures()
        joins = (joining or self.joining).result()
        figures |= join_figures(joins)
        if self.listeners and begun.usage is not None:
            growth_kib = begun.usage.rss_kib - self._rss_kib
            figures["rss_kib_per_listener"] = growth_kib / len(self.listeners)
        counters = {
            name: value - begun.counters.get(name, 0) for name, value in ended.counters.items()
        }
        measured = Measured(figures, joins, verdict, ended.at_s - begun.at_s, counters)
        self._judge_server(measured, begun, ended)
        return measured, begun, ended

    def _judge_server(self, measured: Measured, begun: Mark, ended: Mark) -> None:
        """Whether the server had its core; that is not the load tester's doing, but as bad."""
        percent = 100 * (ended.waited_s - begun.waited_s) / measured.duration_s
        limit = Limit("server waiting for its core", percent, SERVER_WAITED_PERCENT_MAX, "%")
        verdict = measured.verdict
        reasons = () if limit.is_kept else (complaint(limit),)
        measured.verdict = Verdict(
            verdict.trustworthy and limit.is_kept,
            (*verdict.reasons, *reasons),
            (*verdict.watched, limit),
        )
        if limit.is_kept and percent >= 1:
            measured.notes.append(
                f"the server waited {percent:.0f} % of the time for its core, which somebody else "
                "used; delays and gaps include that"
            )

    @property
    def distributions(self) -> dict[str, Histogram]:
        """Of the window."""
        return self.sampler.distributions

    # Details

    @staticmethod
    def _seats(rooms: Sequence[str], role: Role, count: int, first: int = 0) -> list[Seat]:
        """Room by room in turn, so that all fill at the same pace; `first`: the first's number."""
        numbers = range(first, first + count)
        return [Seat(room, f"{role}-{n}", role) for n in numbers for room in rooms]

    async def _let_in(self, seats: Sequence[Seat], joining: Joining) -> list[tuple[Seat, Client]]:
        if not seats:
            return []
        self.sampler.phase(
            f"{len(seats)} {seats[0].role}s join", self.insiders.connected + len(seats)
        )
        rate = self.options.join_rate
        task = asyncio.create_task(joining.join_all(self.insiders, seats, rate))
        return await self.unless_broken(task)

    async def _take_stage(
        self, joined: Sequence[tuple[Seat, Client]], rooms: Sequence[str]
    ) -> None:
        by_room: dict[str, list[Client]] = {room: [] for room in rooms}
        for seat, client in joined:
            self.give_microphone(self.insiders, client)
            by_room[seat.room].append(client)
            self.speakers.append(client)
        now_ns = time.time_ns()
        for room, speakers in by_room.items():
            if speakers:
                podium = Podium(
                    self.insiders,
                    self.options.talk,
                    speakers,
                    lambda turn, room=room: self._note_turn(room, turn),  # type: ignore[misc]
                )
                podium.open(now_ns)
                self._podiums.append(podium)

    def give_microphone(self, crowd: Crowd, client: Client) -> None:
        """Let a connected client be able to speak."""
        key = id(crowd)
        if key not in self._voices:
            self._voices[key] = self._book.give(crowd.swarm)
        client.microphone = Microphone(
            crowd.swarm, client.id, self._book, self._voices[key], self.kit.draw
        )

    def said(self, client: Client) -> tuple[Voice, Spoken] | None:
        """What a speaker says without a pause; None when it does not."""
        spoken = client.microphone.spoken if client.microphone is not None else None
        return None if spoken is None else (self._book.voices[spoken.number], spoken)

    def _note_turn(self, room: str, turn: Turn) -> None:
        if not self._window_ns or turn.start_ns < self._window_ns:
            return
        listeners = self.by_room.get(room, [])
        for listener in self.kit.draw.sample(listeners, min(len(listeners), TURN_LISTENERS_MAX)):
            if listener.is_open:
                self.heard.take(turn, listener.stats().onsets)

    def _turn_figures(self) -> Figures:
        heard = self.heard
        if not heard.switch_ms:
            return {"turns_missed": float(heard.missed)} if heard.missed else {}
        return {
            "switch_p50_ms": quantile(heard.switch_ms, 0.5),
            "switch_p95_ms": quantile(heard.switch_ms, 0.95),
            "switch_p99_ms": quantile(heard.switch_ms, 0.99),
            "onset_lost_ms": sum(heard.lost_ms) / len(heard.lost_ms),
            "onset_lost_p95_ms": quantile(heard.lost_ms, 0.95),
            "turns_missed": float(heard.missed),
        }

    def _read_rss_kib(self) -> int:
        pids = self.target.pids()
        return read_usage(pids).rss_kib if pids else 0

    async def _sleep(self, seconds: float) -> None:
        await self.unless_broken(asyncio.create_task(asyncio.sleep(seconds)))

    async def unless_broken(self, work: asyncio.Future[T]) -> T:
        """Wait for `work`; what ends the driver or the sampler ends it, too."""
        try:
            futures: list[asyncio.Future[Any]] = [work, *self._tasks]
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
            for task in self._tasks:
                if task.done():
                    task.result()
            return await work
        finally:
            work.cancel()


def join_figures(joins: Joins) -> Figures:
    """What is told of joins as figures; the stages are told apart."""
    figures: Figures = {"join_failures": float(joins.failed)}
    if joins.joins_per_s is not None:
        figures["joins_per_s"] = joins.joins_per_s
    for stage in joins.stages:
        if stage.name == "connected":
            figures |= {
                "join_p50_ms": stage.p50_ms,
                "join_p95_ms": stage.p95_ms,
                "join_p99_ms": stage.p99_ms,
            }
        elif stage.name == "first_audio":
            figures["first_audio_p99_ms"] = stage.p99_ms
    return figures


def phrasebook(options: LoadOptions) -> Phrasebook:
    """The voices of a load; making them takes seconds, so before anything is measured."""
    return Phrasebook(options.seed, options.talk, min(VOICES, max(1, options.speakers)))
