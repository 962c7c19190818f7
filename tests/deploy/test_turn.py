"""Clients whose network lets no UDP through reach the daemon by the TURN server of deploy/turn.

The daemon and coturn are in one network namespace, the clients in another, and a firewall between
them drops every UDP datagram. What the clients decode says whether they got through.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator

import pytest
from aioice.stun import TransactionFailed
from aioice.turn import create_turn_endpoint
from aiortc import RTCIceServer

from control import Client
from tests.deploy.guest import Guest
from tests.deploy.turn import TCP_PORT, TLS_PORT, Turn, need_coturn, running
from tests.interop.daemon import Daemon
from tests.interop.polling import until_equal
from tests.interop.wire import Wire, need

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

NO_UDP = """
table inet office {
    counter refused { }
    chain arrivals {
        type filter hook prerouting priority -300;
        iifname "veth0" meta l4proto udp counter name refused drop
    }
}"""
FAR_HZ, NEAR_HZ = 440, 740


@pytest.fixture(scope="module")
def way() -> Iterator[Wire]:
    """The clients' end of a wire on which no UDP passes."""
    need("nft")
    need_coturn()
    with Wire.laid() as laid:
        enter = ("ip", "netns", "exec", laid.pair.server)
        subprocess.run([*enter, "nft", "-f", "-"], input=NO_UDP, text=True, check=True)
        with laid.at_the_clients():
            yield laid


@pytest.fixture(scope="module")
def turn(way: Wire, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Turn]:
    with way.at_the_daemon():
        with running(way.pair.server_ipv4, tmp_path_factory.mktemp("turn")) as started:
            with way.at_the_clients():
                yield started


@pytest.fixture(scope="module")
def daemon(way: Wire) -> Iterator[Daemon]:
    with way.daemon() as started:
        yield started


@pytest.fixture
async def control(daemon: Daemon) -> AsyncIterator[Client]:
    async with daemon.client() as client:
        yield client


def relayed(turn: Turn, url: str, name: str) -> RTCIceServer:
    """The entry that a backend would give to this visitor's page."""
    user, password = turn.credentials(name)
    return RTCIceServer(urls=url, username=user, credential=password)


@pytest.mark.parametrize("kind", ["tcp", "tls"])
async def test_a_client_without_udp_speaks_and_hears_through_the_relay(
    control: Client, way: Wire, turn: Turn, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(turn.authority))
    urls = {
        "tcp": f"turn:{turn.host}:{TCP_PORT}?transport=tcp",
        "tls": f"turns:{turn.host}:{TLS_PORT}?transport=tcp",
    }
    far = Guest([relayed(turn, urls[kind], "far")], FAR_HZ)
    with way.at_the_daemon():
        near = Guest([], NEAR_HZ)
        await near.join(control, kind, "near")
    try:
        await far.join(control, kind, "far")
        await until_equal(far.heard, {NEAR_HZ}, timeout_s=20.0)
        await until_equal(near.heard, {FAR_HZ}, timeout_s=20.0)
        assert far.connection.connectionState == "connected"
    finally:
        await asyncio.gather(far.close(), near.close())


async def test_without_the_relay_nobody_gets_through(control: Client, way: Wire) -> None:
    """The firewall is one."""
    guest = Guest([], FAR_HZ)
    try:
        await guest.join(control, "alone", "guest-1")
        with pytest.raises(AssertionError):
            await until_equal(guest.is_connected, True, timeout_s=3.0)
    finally:
        await guest.close()


class Refusals(asyncio.DatagramProtocol):
    """What an allocation was refused."""

    def __init__(self) -> None:
        self.first: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    def error_received(self, exc: Exception) -> None:
        if not self.first.done():
            self.first.set_result(exc)


async def test_the_relay_relays_to_nobody_but_the_daemon(way: Wire, turn: Turn) -> None:
    """Not even to another address of the network that it stands in, or to itself."""
    for host in (way.pair.load_ipv4, "127.0.0.1", "10.0.0.1"):
        user, password = turn.credentials("guest-1")
        transport, refusals = await create_turn_endpoint(
            Refusals, (turn.host, TCP_PORT), user, password, transport="tcp"
        )
        try:
            transport.sendto(b"hello", (host, 9))
            refused = await asyncio.wait_for(refusals.first, 5.0)
            assert isinstance(refused, TransactionFailed)
            assert refused.response.attributes["ERROR-CODE"][0] == 403
        finally:
            transport.close()


async def test_credentials_that_have_expired_are_refused(way: Wire, turn: Turn) -> None:
    user, password = turn.credentials("guest-1", lasts_s=-60)
    with pytest.raises(TransactionFailed) as refused:
        await create_turn_endpoint(Refusals, (turn.host, TCP_PORT), user, password, transport="tcp")
    assert refused.value.response.attributes["ERROR-CODE"][0] == 401
