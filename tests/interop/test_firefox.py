"""Firefox in a room, as listener and as speaker: by what it decoded, across two network stacks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from control import Client
from control.types import Role
from tests.interop import firefox, wire
from tests.interop.bidi import Session
from tests.interop.crowd import Crowd
from tests.interop.daemon import Daemon
from tests.interop.firefox import FirefoxPeer
from tests.interop.floor import TONES, Floor, assert_cut_clean, assert_unbroken, join
from tests.interop.page_peer import silence_around
from tests.interop.polling import until, until_equal
from tests.interop.relay import Relay
from tests.interop.tones import endless, loudest_hz
from tests.interop.wire import Wire

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

OWN = 600
RESTART_S_MAX = 1.0
ADDRESS_S_MAX = 0.5


@pytest.fixture(scope="module")
def way() -> Iterator[Wire]:
    """Everything in these tests but the daemon is at the clients' end of it."""
    wire.need()
    firefox.executable()
    with Wire.laid() as laid, laid.at_the_clients():
        yield laid


@pytest.fixture(scope="module")
def daemon(way: Wire) -> Iterator[Daemon]:
    """At the other end of the wire."""
    with way.daemon() as started:
        yield started


@pytest.fixture
async def browser(daemon: Daemon, tmp_path: Path) -> AsyncIterator[Session]:
    async with firefox.launched(tmp_path) as session:
        yield session


async def test_firefox_hears_whoever_has_the_floor_and_silence_when_muted(
    control: Client, browser: Session
) -> None:
    """Three open microphones, one slot: nothing is made up and the buffer does not grow."""
    listener, beside = [await FirefoxPeer.open(browser, OWN) for _ in range(2)]
    async with Floor.opened(control, "floor", listener, beside) as floor:
        switched = [await floor.passes_on(turns=2, turn_s=1.0) for _ in range(3)]
        print("Firefox, switching:", *switched, sep="\n  ")
        assert_unbroken(switched)
        muted = await floor.mutes(times=2)
        print("Firefox, muting:", muted)
        assert_cut_clean(muted, times=2)
        assert_unbroken([await floor.passes_on(turns=2, turn_s=1.0)])
        state = await listener.state()
        assert (state["signaling"], state["negotiations"]["remote"]) == ("stable", 1)


async def test_firefox_is_heard_from_the_moment_it_is_called_up(
    control: Client, browser: Session
) -> None:
    """The same offer for all of it; another Firefox hears it, and a peer decodes its packets."""
    async with Crowd(control, "called") as crowd:
        speaker = await FirefoxPeer.open(browser, OWN)
        await join(control, "called", "fox", Role.LISTENER, speaker)
        listener = await FirefoxPeer.open(browser, 1130)
        await join(control, "called", "vixen", Role.LISTENER, listener)
        guest = await crowd.join("guest", Role.SPEAKER)
        guest.talk(endless(TONES[0]), 20)
        both = (OWN, TONES[0])
        await until_equal(lambda: speaker.tones(both), {TONES[0]})

        await control.participant_set_role(room="called", participant="fox", role=Role.SPEAKER)
        await speaker.attach_microphone()
        await until_equal(lambda: listener.tones(both), {OWN, TONES[0]})
        await until_equal(lambda: speaker.tones(both), {TONES[0]})
        await until(lambda: len(guest.heard) > 100, "the guest gets packets")
        assert loudest_hz([item.payload for item in guest.heard][-50:]) == pytest.approx(OWN, abs=5)

        await control.participant_set_role(room="called", participant="fox", role=Role.LISTENER)
        await until_equal(lambda: listener.tones(both), {TONES[0]})
        state = await speaker.state()
        assert state["sending"] and state["negotiations"]["remote"] == 1


async def test_firefox_goes_on_through_another_address_and_another_network(
    control: Client, browser: Session, daemon: Daemon, way: Wire
) -> None:
    """Its address changes under it; then its path is gone and it restarts ICE over another."""

    def path() -> Relay:
        return Relay(daemon.ports.media, daemon.ports.host, way.pair.load_ipv4)

    async with Crowd(control, "roams") as crowd, path() as first, path() as second:
        guest = await crowd.join("guest", Role.SPEAKER)
        guest.talk(endless(TONES[0]), 20)
        fox = await FirefoxPeer.open(browser, OWN)
        joined = await control.participant_join(
            room="roams", participant="fox", role=Role.LISTENER, offer=await fox.offer(speaks=False)
        )
        await fox.accept(first.rewritten(joined.answer))
        await until_equal(lambda: fox.tones(TONES), {TONES[0]}, holds=5)

        await fox.silences()
        first.move_with_next_check()
        await until(lambda: first.moves == 1, "a check of the path", timeout_s=10.0)
        moved = await silence_around(fox)
        print(f"Firefox, another address: {moved.gone_s * 1000:.0f} ms")
        assert moved.gone_s <= ADDRESS_S_MAX

        first.cut()
        answer = await control.participant_restart_ice(
            room="roams", participant="fox", offer=await fox.restart()
        )
        await fox.accept(second.rewritten(answer))
        restarted = await silence_around(fox)
        print(f"Firefox, ICE restart: {restarted.gone_s * 1000:.0f} ms")
        assert restarted.gone_s <= RESTART_S_MAX
        await until_equal(lambda: fox.tones(TONES), {TONES[0]})
        assert (await fox.state())["dtls"] == "connected"
