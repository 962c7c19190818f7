"""People in real browsers hear each other: proven by the spectrum of what Chromium decoded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from playwright.async_api import Browser

from control import Client
from control.events import ParticipantLeft
from control.types import LeaveReason, Role
from tests.interop.chromium import BrowserPeer
from tests.interop.polling import until_equal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

MODERATOR, SPEAKER, LISTENER = 440, 740, 1130
TONES = (MODERATOR, SPEAKER, LISTENER)
ROLES = {MODERATOR: Role.MODERATOR, SPEAKER: Role.SPEAKER, LISTENER: Role.LISTENER}


@dataclass(frozen=True)
class Trio:
    """Moderator, speaker and listener in one room, each known by the tone of its microphone."""

    control: Client
    room: str
    peers: dict[int, BrowserPeer]
    numbers: dict[int, int]

    async def hear(self, expected: dict[int, set[int]]) -> None:
        """Wait until everybody hears exactly these tones, and go on hearing them."""

        async def heard() -> dict[int, set[int]]:
            return {hz: await peer.tones(TONES) for hz, peer in self.peers.items()}

        await until_equal(heard, expected, holds=4)

    async def assert_negotiated_once(self) -> None:
        """One offer and one answer, and the browser asks for no other."""
        for peer in self.peers.values():
            state = await peer.state()
            assert state["signaling"] == "stable"
            assert state["negotiations"]["local"] == 1
            assert state["negotiations"]["remote"] == 1
            # Adding the transceivers asks once; the offer answers that.
            assert state["negotiations"]["needed"] <= 1


@pytest.fixture
async def trio(control: Client, browser: Browser, request: pytest.FixtureRequest) -> Trio:
    room = request.node.name
    await control.room_create(room=room)
    peers: dict[int, BrowserPeer] = {}
    numbers: dict[int, int] = {}
    for hz, role in ROLES.items():
        peer = peers[hz] = await BrowserPeer.open(browser, hz)
        joined = await control.participant_join(
            room=room,
            participant=role.value,
            role=role,
            offer=await peer.offer(speaks=role is not Role.LISTENER),
        )
        numbers[hz] = joined.participant.number
        await peer.accept(joined.answer)
    return Trio(control, room, peers, numbers)


async def test_everybody_hears_exactly_the_others_through_every_change_of_role(trio: Trio) -> None:
    """Called up is heard, muted is silent, sent back is silent; one offer for all of it."""
    room, control = trio.room, trio.control
    await trio.hear({MODERATOR: {SPEAKER}, SPEAKER: {MODERATOR}, LISTENER: {MODERATOR, SPEAKER}})

    listener = trio.peers[LISTENER]
    assert not (await listener.state())["sending"]
    await control.participant_set_role(
        room=room, participant=Role.LISTENER.value, role=Role.SPEAKER
    )
    await listener.attach_microphone()
    everybody = {hz: set(TONES) - {hz} for hz in TONES}
    await trio.hear(everybody)

    await control.track_mute(room=room, participant=Role.SPEAKER.value)
    await trio.hear({hz: others - {SPEAKER} for hz, others in everybody.items()})
    await control.track_unmute(room=room, participant=Role.SPEAKER.value)
    await trio.hear(everybody)

    await control.participant_set_role(
        room=room, participant=Role.LISTENER.value, role=Role.LISTENER
    )
    assert (await listener.state())["sending"], "the browser goes on sending; the server decides"
    await trio.hear({hz: others - {LISTENER} for hz, others in everybody.items()})
    await trio.assert_negotiated_once()


async def test_the_browser_knows_who_speaks_by_contributing_source(trio: Trio) -> None:
    """getContributingSources() names the speakers' numbers, never the listener's own."""

    async def named() -> set[int]:
        return set((await trio.peers[LISTENER].state())["speakers"])

    await until_equal(named, {trio.numbers[MODERATOR], trio.numbers[SPEAKER]})


async def test_a_kick_ends_it_with_its_reason(trio: Trio) -> None:
    """Backends read `removed` and the words; the browser's connection ends; nobody hears the
    kicked.
    """
    await trio.hear({MODERATOR: {SPEAKER}, SPEAKER: {MODERATOR}, LISTENER: {MODERATOR, SPEAKER}})
    async with trio.control.events(rooms=[trio.room]) as events:
        await trio.control.participant_remove(
            room=trio.room, participant=Role.SPEAKER.value, reason="too loud"
        )
        async with asyncio.timeout(5):
            async for event in events:
                if isinstance(event.body, ParticipantLeft):
                    break
    assert isinstance(event.body, ParticipantLeft)
    assert event.body.participant == Role.SPEAKER.value
    assert (event.body.reason, event.body.detail) == (LeaveReason.REMOVED, "too loud")

    async def dtls() -> str:
        return str((await trio.peers[SPEAKER].state())["dtls"])

    await until_equal(dtls, "closed", timeout_s=2.0, holds=1)
    await trio.hear({MODERATOR: set(), SPEAKER: set(), LISTENER: {MODERATOR}})
