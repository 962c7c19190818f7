"""Peers of an independent stack (aiortc, aioice) on a real daemon: who is heard, by sound."""

from __future__ import annotations

import itertools
from typing import Unpack

import pytest

from control import Client
from control.calls import SubscriptionFields
from control.types import Role, SubscriptionState
from deploy.club.peer import PeerOptions
from tests.interop.crowd import Crowd, Guest
from tests.interop.polling import until
from tests.interop.tones import distinct_packets, endless, loudest_hz

LISTENERS = 40
# Speakers by tone and level: the quietest of the loud three is 13 dB above the others, more than
# waiting earns a challenger (12 dB) minus the advantage of whoever holds a slot (6 dB).
LOUD = {400: 10, 700: 16, 1000: 22}
QUIET = {1300: 41, 1600: 45}
# Packets of three voices: more than a test's own sockets hold back while it waits for an answer,
# and half a second, for which silence follows what ends.
IN_FLIGHT = 30 + 90
NO_LEVELS = PeerOptions(level_extension=0)


async def heard_since(guests: list[Guest], packets: int, timeout_s: float = 10.0) -> None:
    """Forget what was heard so far, then wait until each has got `packets` more."""
    for guest in guests:
        guest.heard.clear()
    await until(
        lambda: all(len(guest.heard) >= packets for guest in guests),
        lambda: f"packets: {[len(guest.heard) for guest in guests]}",
        timeout_s,
    )


async def test_forty_listeners_hear_the_loudest_three_of_five(control: Client) -> None:
    """Each of the three, by its own tone under its own CSRC, on tracks that stay the same."""
    async with Crowd(control, "five") as crowd:
        listeners = await crowd.join_many(LISTENERS)
        speakers: dict[int, Guest] = {}
        for hz, level in {**QUIET, **LOUD}.items():
            speakers[hz] = await crowd.join(f"tone-{hz}", Role.SPEAKER)
            speakers[hz].talk(endless(hz), level)
        loud = {speakers[hz].number: hz for hz in LOUD}
        await until(
            lambda: all({i.csrc for i in g.heard[-6:]} == set(loud) for g in listeners),
            "the loudest three hold the slots",
        )
        await heard_since(listeners, 3 * 40)
        for listener in listeners:
            voices = listener.voices()
            assert set(voices) == set(loud)
            assert {item.ssrc for item in listener.heard} == set(listener.peer.slot_ssrcs)
            for number, packets in voices.items():
                assert loudest_hz(packets[:30]) == pytest.approx(loud[number], abs=15)
            assert listener.peer.srtp_errors == 0
        gaps = {guest.id: found for guest in listeners if (found := gaps_of(guest))}
        assert not gaps, f"{gaps}, {await drops(control)}"


async def test_nobody_hears_an_own_echo(control: Client) -> None:
    """Three who talk at once: each gets the other two and never itself."""
    async with Crowd(control, "echo") as crowd:
        talkers = {}
        for hz in (500, 800, 1100):
            talkers[hz] = await crowd.join(f"tone-{hz}", Role.SPEAKER)
            talkers[hz].talk(endless(hz), 20)
        guests = list(talkers.values())
        await heard_since(guests, 2 * 40)
        for hz, guest in talkers.items():
            others = {other.number for other in guests if other is not guest}
            assert set(guest.voices()) == others
            tones = {round(loudest_hz(p[:30]) / 100) * 100 for p in guest.voices().values()}
            assert tones == {500, 800, 1100} - {hz}


async def test_a_moderator_who_starts_takes_a_slot_within_160_ms(control: Client) -> None:
    """All slots are held by people as loud as the moderator. Counted in the moderator's own frames,
    so that a slow machine does not change the answer."""
    async with Crowd(control, "priority") as crowd:
        listener = await crowd.join("listener")
        for hz in (500, 800, 1100):
            guest = await crowd.join(f"tone-{hz}", Role.SPEAKER)
            guest.talk(endless(hz), 20)
        moderator = await crowd.join("moderator", Role.MODERATOR)
        await until(lambda: len(listener.voices()) == 3, "all slots are taken")
        await heard_since([listener], 3 * 60)
        moderator.talk(distinct_packets(50), 20)
        await until(lambda: bool(said_by(listener, moderator)), "the moderator is heard")
        frames_lost = moderator.sent.index(said_by(listener, moderator)[0])
        assert frames_lost * 20 <= 160


async def test_a_free_slot_loses_no_first_packet(control: Client) -> None:
    """Whoever starts to talk while a slot is free is heard from the very first packet on."""
    async with Crowd(control, "onset") as crowd:
        listeners = [await crowd.join(f"listener-{index}") for index in range(3)]
        first = await crowd.join("first", Role.SPEAKER)
        first.talk(endless(500), 20)
        await heard_since(listeners, 20)
        second = await crowd.join("second", Role.SPEAKER)
        packets = distinct_packets(20)
        second.talk(packets, 20)
        for listener in listeners:
            await until_said(listener, second, len(packets))
            assert tuple(said_by(listener, second)) == packets


async def test_a_listener_who_sends_media_is_heard_by_nobody(control: Client) -> None:
    """Loud, with levels, on a negotiated track: it is still a listener."""
    async with Crowd(control, "listener-sends") as crowd:
        speaker = await crowd.join("speaker", Role.SPEAKER)
        listener = await crowd.join("listener")
        intruder = await crowd.join("intruder")
        intruder.talk(endless(900), 0)
        speaker.talk(endless(500), 40)
        await heard_since([listener, intruder], 100)
        for guest in (listener, intruder):
            assert set(guest.voices()) == {speaker.number}
        assert not speaker.heard
        assert len(intruder.sent) > 90, "it did send all the while"


async def test_a_muted_speaker_without_levels_is_heard_by_nobody(control: Client) -> None:
    """The server does not depend on the level extension to mute, nor to hear again."""
    async with Crowd(control, "no-levels") as crowd:
        listener = await crowd.join("listener")
        witness = await crowd.join("witness", Role.SPEAKER)
        silent = await crowd.join("silent", Role.SPEAKER, NO_LEVELS)
        await control.track_mute(room=crowd.room, participant=silent.id)
        silent.talk(endless(900), None)
        witness.talk(endless(500), 40)
        await heard_since([listener], 100)
        assert set(listener.voices()) == {witness.number}
        await control.track_unmute(room=crowd.room, participant=silent.id)
        await until(lambda: silent.number in listener.voices(), "heard once unmuted")
        await heard_since([listener], 100)
        assert loudest_hz(listener.voices()[silent.number][:30]) == pytest.approx(900, abs=15)


@pytest.mark.parametrize("by", ["mute", "role"])
async def test_silencing_takes_effect_at_once(control: Client, by: str) -> None:
    """After the command's answer at most what was already on its way arrives."""
    async with Crowd(control, f"effect-{by}") as crowd:
        listener = await crowd.join("listener")
        speaker = await crowd.join("speaker", Role.SPEAKER)
        speaker.talk(endless(500), 20)
        await heard_since([listener], 20)
        if by == "mute":
            await control.track_mute(room=crowd.room, participant=speaker.id)
        else:
            await control.participant_set_role(
                room=crowd.room, participant=speaker.id, role=Role.LISTENER
            )
        listener.heard.clear()
        sent_before = len(speaker.sent)
        await until(lambda: len(speaker.sent) >= sent_before + 30, "30 frames later")
        assert len(said_by(listener, speaker)) <= 5


def said_by(listener: Guest, speaker: Guest) -> list[bytes]:
    """What `listener` got of `speaker`, in order."""
    return listener.voices().get(speaker.number, [])


async def until_said(listener: Guest, speaker: Guest, packets: int) -> None:
    """Wait until `listener` got so many packets of `speaker`."""
    await until(
        lambda: len(said_by(listener, speaker)) >= packets,
        lambda: f"{len(said_by(listener, speaker))} packets of {packets}",
    )


def gaps_of(listener: Guest) -> list[tuple[int, int]]:
    """Where the sequence numbers of a track do not grow by one: what looks lost to a receiver."""
    gaps = []
    for ssrc in listener.peer.slot_ssrcs:
        numbers = [item.sequence for item in listener.heard if item.ssrc == ssrc]
        for before, after in itertools.pairwise(numbers):
            if (after - before) & 0xFFFF != 1:
                gaps.append((before, after))
    return gaps


async def drops(control: Client) -> dict[str, int]:
    """What the daemon dropped since its start, by reason."""
    counters = await control.server_stats()
    return {name: count for name, count in counters.items() if "drop" in name and count}


async def test_a_listener_chooses_whom_it_never_hears_and_when_it_hears_nothing(
    control: Client,
) -> None:
    async with Crowd(control, "choices") as crowd:
        chooser, other = await crowd.join_many(2)
        speakers = {hz: await crowd.join(f"tone-{hz}", Role.SPEAKER) for hz in LOUD}
        for hz, speaker in speakers.items():
            speaker.talk(endless(hz), LOUD[hz])
        everybody = {speaker.number for speaker in speakers.values()}
        unwanted = speakers[400]
        await heard_since([chooser, other], 150)

        async def ask(**wishes: Unpack[SubscriptionFields]) -> SubscriptionState:
            return await control.subscription_update(
                room="choices", participant=chooser.id, **wishes
            )

        assert (await ask(never=[unwanted.id])).never == [unwanted.id]
        await heard_since([other], IN_FLIGHT)
        await heard_since([chooser, other], 150)
        assert {item.csrc for item in chooser.heard} == everybody - {unwanted.number}
        assert {item.csrc for item in other.heard} == everybody
        assert (await ask(paused=True)).tier == "paused"
        await heard_since([other], IN_FLIGHT)
        chooser.heard.clear()
        await heard_since([other], 150)
        assert not chooser.heard
        await ask(paused=False, never=[])
        await until(
            lambda: {item.csrc for item in chooser.heard} == everybody, "everybody is heard again"
        )
