"""Real clients in a room of a target, speaking and listening until they have heard each other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from random import Random

from bench.clients import Client
from bench.crowd import Crowd, Kit
from bench.handshake import Handshakes
from bench.lifecycle import State
from bench.talking import Microphone, Phrasebook, Podium
from bench.targets import Role, Target

ROOM = "conversation"
_WITHIN_S = 20.0
_INTERVAL_S = 0.002


@dataclass(frozen=True)
class Conversation:
    """What was heard: for each listener the packets of each track it got."""

    heard: list[list[int]]
    lost: int
    auth_errors: int
    delays: int  # packets whose delay was measured
    after_leaving: State  # of the first listener


async def converse(
    target: Target, *, speakers: int, listeners: int, tracks: int | None = None
) -> Conversation:
    """Needs a started target without that room. `tracks`: that a listener gets, if not one of each
    speaker.
    """
    is_ipv6 = ip_address(target.media_address).version == 6
    crowd = Crowd(Kit(Handshakes(), Random(1), is_ipv6))
    try:
        return await _converse(target, crowd, speakers, listeners, tracks or speakers)
    finally:
        crowd.close()


async def _converse(
    target: Target, crowd: Crowd, speakers: int, listeners: int, tracks: int
) -> Conversation:
    await target.create_room(ROOM, slots=3, speakers=speakers)
    stage = [await _join(target, crowd, f"s{index}", "speaker") for index in range(speakers)]
    await _pump_until(crowd, lambda: _are_connected(stage))
    joins = [_join(target, crowd, f"l{index}", "listener") for index in range(listeners)]
    seats = await asyncio.gather(*joins)
    await _pump_until(crowd, lambda: _are_connected(seats))
    _talk(crowd, stage)

    def heard() -> list[list[int]]:
        return [[track.packets for track in seat.stats().tracks] for seat in seats]

    await _pump_until(
        crowd,
        lambda: all(len(each) == tracks and min(each) >= 10 for each in heard()),
    )
    result = heard()
    await target.leave(ROOM, "l0")
    await target.leave(ROOM, "l0")
    await _pump_until(crowd, lambda: not seats[0].is_open)
    totals = crowd.swarm.totals()
    delays = sum(crowd.swarm.take_delays())
    return Conversation(result, totals["lost"], totals["auth_errors"], delays, seats[0].state)


async def _join(target: Target, crowd: Crowd, name: str, role: Role) -> Client:
    client = crowd.client(name, role)
    await target.join(ROOM, name, role, client)
    client.connect()
    return client


def _are_connected(clients: Sequence[Client]) -> bool:
    for client in clients:
        assert client.is_open, client.failure
    return all(client.state is State.CONNECTED for client in clients)


def _talk(crowd: Crowd, stage: list[Client]) -> None:
    book = Phrasebook(1, "always", 1)
    voices = book.give(crowd.swarm)
    for client in stage:
        client.microphone = Microphone(crowd.swarm, client.id, book, voices, Random(client.name))
    Podium(crowd, "always", stage, lambda turn: None).open(time.time_ns())


async def _pump_until(crowd: Crowd, is_done: Callable[[], bool]) -> None:
    async with asyncio.timeout(_WITHIN_S):
        while not is_done():
            crowd.pump()
            await asyncio.sleep(_INTERVAL_S)
