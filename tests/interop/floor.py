"""Open microphones that compete for the one slot of a room, and a browser that hears who has it.

A second listener in the same browser hears one voice in another room, to which nothing happens.
What the machine itself does to sound at a moment, because it is busy, it does to both; so the two
are compared, and only what the first has to bear alone counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import statistics
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import NamedTuple

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
# Where packets end, a decoder repeats the last one until it fades. After silence that is silence
# too, though it is counted: 30 ms by Chromium, 30 to 90 ms by Firefox. A voice takes 430 ms.
FADE_S_MAX = 0.15
# Three packets: what a jitter buffer may be off by without having grown.
GROWTH_S_MAX = 0.06


class Look(NamedTuple):
    """What two listeners decoded in the same time: one on the floor, and one beside it."""

    here: Decoded
    beside: Decoded

    @property
    def behind_s(self) -> float:
        """For how much longer a sample waits here."""
        return self.here.delay_s - self.beside.delay_s

    def __str__(self) -> str:
        return f"{self.here}\n    beside it: {self.beside}"


class Floor:
    """One listener and three speakers, of whom one is loud. Use `opened`."""

    def __init__(self, crowd: Crowd, listener: PagePeer, beside: PagePeer) -> None:
        self.crowd = crowd
        self.listener = listener
        self._beside = beside
        self.speakers: dict[int, Guest] = {}
        self._order = itertools.cycle(TONES)

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(
        cls, control: Client, room: str, listener: PagePeer, beside: PagePeer
    ) -> AsyncIterator[Floor]:
        """Both listeners hear what they should, and their jitter buffers have settled."""
        async with Crowd(control, room, 1) as crowd, Crowd(control, f"{room}-beside", 1) as other:
            floor = cls(crowd, listener, beside)
            for hz in TONES:
                guest = floor.speakers[hz] = await crowd.join(f"voice-{hz}", Role.SPEAKER)
                guest.talk(endless(hz), QUIET)
            floor.give(next(floor._order))
            (await other.join("voice", Role.SPEAKER)).talk(endless(TONES[0]), LOUD)
            for place, peer in ((room, listener), (other.room, beside)):
                await join(control, place, "browser", Role.LISTENER, peer)
                await until_equal(functools.partial(peer.tones, TONES), {TONES[0]})
            await asyncio.sleep(SETTLE_S)
            yield floor

    def give(self, hz: int) -> None:
        """This one is loud from now on, the others are quiet."""
        for tone, guest in self.speakers.items():
            guest.level = LOUD if tone == hz else QUIET

    async def hears(self, *tones: int) -> None:
        """Wait until the browser hears exactly these tones, steadily."""
        await until_equal(lambda: self.listener.tones(TONES), set(tones), holds=3)

    async def passes_on(self, turns: int, turn_s: float) -> Look:
        """The floor goes round, and each is heard in its turn."""
        return await self._look(self._pass_on(turns, turn_s))

    async def mutes(self, times: int) -> Look:
        """Who has the floor is muted and unmuted so often: silence, and then the voice again."""
        return await self._look(self._mute(times))

    async def listens(self, seconds: float) -> Look:
        """Nothing happens for so long."""
        return await self._look(asyncio.sleep(seconds))

    async def _look(self, what: Awaitable[None]) -> Look:
        peers = (self.listener, self._beside)
        before = [await peer.decoded() for peer in peers]
        await what
        after = [await peer.decoded() for peer in peers]
        return Look(*(now.since(then) for now, then in zip(after, before, strict=True)))

    async def _pass_on(self, turns: int, turn_s: float) -> None:
        loop = asyncio.get_running_loop()
        ends_at = loop.time()
        for _ in range(turns):
            hz = next(self._order)
            self.give(hz)
            ends_at += turn_s
            await self.hears(hz)
            await asyncio.sleep(max(0.0, ends_at - loop.time()))

    async def _mute(self, times: int, silent_s: float = 0.6, loud_s: float = 0.6) -> None:
        hz, speaker = next((hz, one) for hz, one in self.speakers.items() if one.level == LOUD)
        others = [guest for guest in self.speakers.values() if guest is not speaker]
        for guest in others:
            guest.talks = False
        control, room = self.crowd.control, self.crowd.room
        for _ in range(times):
            await control.track_mute(room=room, participant=speaker.id)
            await self.hears()
            await asyncio.sleep(silent_s)
            await control.track_unmute(room=room, participant=speaker.id)
            await self.hears(hz)
            await asyncio.sleep(loud_s)
        for guest in others:
            guest.talks = True


def assert_unbroken(looks: Sequence[Look]) -> None:
    """Without loss: nothing lost, next to nothing made up, sound all the time, and the buffer is
    at the end where it was at the beginning.

    One look may find it fuller: a buffer that had to wait works that off within seconds. What
    grows without end is longer in every later look.
    """
    assert sum(look.here.lost for look in looks) == 0
    samples = sum(look.here.samples for look in looks)
    made_up = sum(look.here.concealed - look.beside.concealed for look in looks)
    assert made_up <= CONCEALMENT_MAX * samples
    for look in looks:
        assert look.here.energy / (look.here.samples / 48_000) > 0.01, "a tone of -10 dBFS has 0.05"
    third = max(1, len(looks) // 3)
    early_s = statistics.mean(look.behind_s for look in looks[:third])
    late_s = min(look.behind_s for look in looks[-third:])
    assert late_s <= early_s + GROWTH_S_MAX


def assert_cut_clean(look: Look, times: int) -> None:
    """The voice ended so often in silence that was sent, not in what a decoder makes up."""
    made_up = look.here.concealed - look.here.silent - look.beside.concealed
    assert made_up / 48_000 <= times * FADE_S_MAX


async def join(
    control: Client,
    room: str,
    name: str,
    role: Role,
    peer: PagePeer,
    repair: Repair | None = None,
    *,
    mix: bool = False,
) -> int:
    """Offer and answer; the number of the participant."""
    offer = await peer.offer(speaks=role is not Role.LISTENER, repair=repair, mix=mix)
    joined = await control.participant_join(room=room, participant=name, role=role, offer=offer)
    await peer.accept(joined.answer)
    return joined.participant.number
