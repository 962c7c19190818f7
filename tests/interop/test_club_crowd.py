"""Two hundred members come into one room through the club's own API while somebody speaks."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiortc.rtp import RtpPacket

from control import Client
from deploy.club.peer import Peer
from deploy.club.settings import Settings
from deploy.club.store import Store
from tests.club.founding import Founded, Founder
from tests.interop.club_caller import Caller
from tests.interop.club_process import ClubProcess, settings_for
from tests.interop.daemon import running
from tests.interop.polling import until
from tests.interop.tones import loudest_hz

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

MEMBERS = 200
# So many come at once; a page that opens for a thousand followers is spread by their thumbs.
AT_ONCE = 16
HZ = 440
# From the request until the first connectivity and DTLS are done, on a machine that does both
# ends of two hundred handshakes.
JOIN_S_MAX = 5.0
# One second of speech after the last has come.
PACKETS = 50
# Of a listener who was there first, while the others came.
LOST_MAX = 0.01


class Witness:
    """Who came first, and writes down what is heard while the others come."""

    def __init__(self, peer: Peer) -> None:
        self.packets: list[RtpPacket] = []
        peer.on_packet = self.packets.append

    @property
    def spoken(self) -> list[RtpPacket]:
        """What somebody said; slots without a voice are left out."""
        return [packet for packet in self.packets if packet.csrc]

    def lost(self) -> float:
        """The part that did not come, by sequence numbers."""
        numbers = sorted({packet.sequence_number for packet in self.spoken})
        # A wrap in so short a time is one gap of nearly all numbers.
        spans = [later - earlier for earlier, later in zip(numbers, numbers[1:], strict=False)]
        missing = sum(span - 1 for span in spans if span < 1_000)
        return missing / max(1, missing + len(numbers))


async def test_two_hundred_members_join_while_audio_flows(tmp_path: Path) -> None:
    """All of them are in, all hear the voice, nobody who listened before noticed."""
    settings = settings_for(f"sqlite+aiosqlite:///{tmp_path / 'club.sqlite'}")
    async with AsyncExitStack() as stack:
        daemon = stack.enter_context(running())
        await stack.enter_async_context(ClubProcess(settings, daemon, tmp_path))
        host, members, room = await _furnish(settings)
        speaker = await stack.enter_async_context(Caller(settings.base_url, host))
        await speaker.join(room)
        await speaker.act(room, "unmute")
        talking = asyncio.create_task(speaker.talk(HZ))
        stack.callback(talking.cancel)
        callers = [
            await stack.enter_async_context(Caller(settings.base_url, member)) for member in members
        ]
        first, *others = callers
        await first.join(room)
        witness = Witness(first.peer)
        await until(lambda: len(witness.spoken) >= PACKETS, "the voice is heard")
        durations = await _join_all(others, room)
        _tell(durations)
        control = await stack.enter_async_context(Client(daemon.ports.control_endpoint))
        assert len((await control.room_snapshot(room=room)).participants) == MEMBERS + 1
        await _all_hear(callers)
        assert loudest_hz([p.payload for p in witness.spoken[:PACKETS]]) == pytest.approx(
            HZ, abs=15
        )
        assert witness.lost() <= LOST_MAX
        assert sorted(durations)[int(0.95 * len(durations))] <= JOIN_S_MAX
        await asyncio.gather(*(caller.peer.close() for caller in callers))


async def _furnish(settings: Settings) -> tuple[Founded, list[Founded], str]:
    store = await Store.open(settings)
    try:
        founder = Founder(store, settings)
        host = await founder.person("Red", is_host=True)
        members = await founder.people(MEMBERS)
        return host, members, await founder.room(host, "Everybody")
    finally:
        await store.close()


async def _join_all(callers: Sequence[Caller], room: str) -> list[float]:
    """Seconds from each request until each connection."""
    gate = asyncio.Semaphore(AT_ONCE)
    loop = asyncio.get_running_loop()

    async def join(caller: Caller) -> float:
        async with gate:
            began = loop.time()
            await caller.join(room)
            return loop.time() - began

    return list(await asyncio.gather(*(join(caller) for caller in callers)))


async def _all_hear(callers: Sequence[Caller]) -> None:
    before = [caller.peer.received for caller in callers]
    await until(
        lambda: all(
            caller.peer.received >= then + PACKETS
            for caller, then in zip(callers, before, strict=True)
        ),
        "everybody hears a second of it",
        15.0,
    )


def _tell(durations: Sequence[float]) -> None:
    cuts = statistics.quantiles(durations, n=20)
    print(
        f"\n{len(durations)} joins, {AT_ONCE} at once: half within {cuts[9] * 1000:.0f} ms, "
        f"95 % within {cuts[18] * 1000:.0f} ms, all within {max(durations) * 1000:.0f} ms"
    )
