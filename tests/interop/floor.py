"""Open microphones that compete for the one slot of a room, and a browser that hears who has it."""

from __future__ import annotations

import asyncio
import itertools
import statistics
from collections.abc import Sequence

from control import Client
from control.types import Role
from tests.interop.crowd import Crowd, Guest
from tests.interop.page_peer import Decoded, PagePeer, Repair
from tests.interop.polling import until_equal
from tests.interop.tones import endless

# All three are sent without end, as open microphones are; levels say who speaks.
TONES = (440, 740, 1130)
LOUD, QUIET = 20, 70
# The jitter buffer starts at what its first packets suggest and settles within this.
SETTLE_S = 2.0
# Without loss nothing has to be made up; this leaves room for a machine that was busy for a moment.
CONCEALMENT_MAX = 0.01
# Two packets: what a jitter buffer may be off by without having grown.
GROWTH_S_MAX = 0.04


class Floor:
    """One listener in a browser and three speakers, of whom one is loud. Use `with_listener`."""

    def __init__(self, crowd: Crowd, listener: PagePeer, name: str) -> None:
        self.crowd = crowd
        self.listener = listener
        self.name = name
        self.speakers: dict[int, Guest] = {}
        self._order = itertools.cycle(TONES)

    @classmethod
    async def with_listener(
        cls, crowd: Crowd, listener: PagePeer, *, tones: Sequence[int] = TONES
    ) -> Floor:
        """The browser joins as `browser`, and for each tone a speaker; the first has the floor."""
        floor = cls(crowd, listener, "browser")
        for hz in tones:
            guest = floor.speakers[hz] = await crowd.join(f"voice-{hz}", Role.SPEAKER)
            guest.talk(endless(hz), QUIET)
        floor._order = itertools.cycle(tones)
        floor.give(next(floor._order))
        await join(crowd.control, crowd.room, floor.name, Role.LISTENER, listener)
        await floor.hears(tones[0])
        return floor

    def give(self, hz: int) -> None:
        """This one is loud from now on, the others are quiet."""
        for tone, guest in self.speakers.items():
            guest.level = LOUD if tone == hz else QUIET

    async def hears(self, *tones: int) -> None:
        """Wait until the browser hears exactly these tones, steadily."""
        await until_equal(lambda: self.listener.tones(TONES), set(tones), holds=3)

    async def passes_on(self, turns: int, turn_s: float) -> Decoded:
        """The floor goes round; what was decoded meanwhile. Each is heard in its turn."""
        before = await self.listener.decoded()
        loop = asyncio.get_running_loop()
        ends_at = loop.time()
        for _ in range(turns):
            hz = next(self._order)
            self.give(hz)
            ends_at += turn_s
            await self.hears(hz)
            await asyncio.sleep(max(0.0, ends_at - loop.time()))
        return (await self.listener.decoded()).since(before)

    async def mutes(self, times: int, silent_s: float = 0.6, loud_s: float = 0.6) -> Decoded:
        """Who has the floor is muted and unmuted so often; what was decoded meanwhile.

        It is heard after each, and nothing is heard in between.
        """
        before = await self.listener.decoded()
        hz, speaker = next((hz, one) for hz, one in self.speakers.items() if one.level == LOUD)
        others = [guest for guest in self.speakers.values() if guest is not speaker]
        for guest in others:
            guest.talks = False
        for _ in range(times):
            await self.crowd.control.track_mute(room=self.crowd.room, participant=speaker.id)
            await self.hears()
            await asyncio.sleep(silent_s)
            await self.crowd.control.track_unmute(room=self.crowd.room, participant=speaker.id)
            await self.hears(hz)
            await asyncio.sleep(loud_s)
        for guest in others:
            guest.talks = True
        return (await self.listener.decoded()).since(before)

    async def listens(self, seconds: float) -> Decoded:
        """What is decoded in so much time."""
        before = await self.listener.decoded()
        await asyncio.sleep(seconds)
        return (await self.listener.decoded()).since(before)


def assert_unbroken(parts: Sequence[Decoded]) -> None:
    """Without loss: nothing lost, next to nothing made up, sound all the time, and the buffer is
    back at the end where it was at the beginning.

    One part may wait for longer: a busy machine stands still for a moment, and the buffer works
    that off within seconds. What grows without end is longer in every later part.
    """
    samples = sum(part.samples for part in parts)
    assert sum(part.lost for part in parts) == 0
    assert sum(part.concealed for part in parts) <= CONCEALMENT_MAX * samples
    for part in parts:
        assert part.energy / (part.samples / 48_000) > 0.01, "a tone of -10 dBFS has 0.045"
    third = max(1, len(parts) // 3)
    early_s = statistics.mean(part.delay_s for part in parts[:third])
    late_s = min(part.delay_s for part in parts[-third:])
    assert late_s <= early_s + GROWTH_S_MAX


async def join(
    control: Client,
    room: str,
    name: str,
    role: Role,
    peer: PagePeer,
    repair: Repair | None = None,
) -> int:
    """Offer and answer; the number of the participant."""
    offer = await peer.offer(speaks=role is not Role.LISTENER, repair=repair)
    joined = await control.participant_join(room=room, participant=name, role=role, offer=offer)
    await peer.accept(joined.answer)
    return joined.participant.number
