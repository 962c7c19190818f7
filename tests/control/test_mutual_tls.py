"""Certificates instead of macs, limits before the handshake, and certificates replaced."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509

from control import Client, ConnectionLost, ControlError, Key
from control.endpoint import TcpEndpoint
from control.server import Server, ServerLimits
from tests.control.authority import Authority
from tests.control.conftest import ADMIN, CLUB
from tests.control.fake_daemon import FakeDaemon
from tests.control.wire import PATIENCE_S

BY_CERTIFICATE = Key("gateway", None, ("rooms:club/",))
KEYS = (ADMIN, CLUB, BY_CERTIFICATE)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Any:
    """Runs a coroutine on one of the loops."""
    loop: Any = uvloop.run if request.param == "uvloop" else asyncio.run

    def limited(coroutine: Coroutine[Any, Any, None]) -> None:
        async def within_patience() -> None:
            async with asyncio.timeout(2 * PATIENCE_S):
                await coroutine

        loop(within_patience())

    return limited


def serving(authority: Authority, limits: ServerLimits | None = None) -> Server:
    """A server that asks for certificates of this authority."""
    tls = authority.server(authority.issue_for_localhost())
    return Server(FakeDaemon(), epoch="e", keys=KEYS, tls=tls, limits=limits)


async def to_the_end(reader: asyncio.StreamReader) -> None:
    """Wait until the server has hung up, in whichever way."""
    try:
        await reader.read()
    except ConnectionError:
        pass


async def port_of(server: Server) -> int:
    """Listen somewhere."""
    endpoint = await server.start("127.0.0.1:0")
    assert isinstance(endpoint, TcpEndpoint)
    return endpoint.port


@pytest.mark.parametrize(
    ("name", "alternatives"),
    [
        ("gateway", []),
        ("anything", [x509.DNSName("gateway")]),
        ("anything", [x509.DNSName("other"), x509.UniformResourceIdentifier("gateway")]),
    ],
)
def test_a_certificate_with_a_key_s_name_needs_no_mac(
    run: Any, authority: Authority, name: str, alternatives: list[x509.GeneralName]
) -> None:
    """And has that key's scopes."""

    async def scenario() -> None:
        async with serving(authority) as server:
            tls = authority.client(authority.issue(name, alternatives))
            async with Client("localhost", await port_of(server), tls=tls) as client:
                assert client.hello is not None and not client.hello.auth_required
                await client.room_create(room="club/1")
                with pytest.raises(ControlError, match="not_found"):
                    await client.room_get(room="other")

    run(scenario())


def test_other_certificates_and_none_at_all_need_a_mac(run: Any, authority: Authority) -> None:
    """A certificate whose common name is a key's id but whose other names are not is no proof."""
    misleading = authority.issue("gateway", [x509.DNSName("other")])

    async def scenario() -> None:
        async with serving(authority) as server:
            port = await port_of(server)
            for certificate in (authority.issue("nobody"), misleading, None):
                tls = authority.client(certificate)
                with pytest.raises(ControlError, match="wants a key"):
                    await Client("localhost", port, tls=tls, key=BY_CERTIFICATE).connect()
                async with Client("localhost", port, tls=tls, key=ADMIN) as client:
                    await client.room_create(room="anywhere")

    run(scenario())


def test_a_certificate_of_another_authority_is_no_way_in(
    run: Any, authority: Authority, tmp_path: Path
) -> None:
    """Whatever name it bears: the handshake fails."""
    forged = Authority(tmp_path, "forger").issue("gateway")

    async def scenario() -> None:
        async with serving(authority) as server:
            tls = authority.client(forged)
            with pytest.raises(ConnectionLost):
                await Client("localhost", await port_of(server), tls=tls).connect()

    run(scenario())


def test_without_an_authority_for_clients_certificates_say_nothing(
    run: Any, authority: Authority
) -> None:
    """They are not even asked for."""
    tls = authority.server(authority.issue_for_localhost(), asks_for_certificates=False)

    async def scenario() -> None:
        async with Server(FakeDaemon(), epoch="e", keys=KEYS, tls=tls) as server:
            mine = authority.client(authority.issue("gateway"))
            with pytest.raises(ControlError, match="wants a key"):
                await Client("localhost", await port_of(server), tls=mine).connect()

    run(scenario())


def test_whoever_dawdles_over_the_handshake_takes_a_strangers_place_and_time(
    run: Any, authority: Authority
) -> None:
    """Known ones go on, one stranger too many is hung up on, and the place is free again."""
    limits = ServerLimits(unauthenticated=2, authenticate_within_s=0.3)

    async def scenario() -> None:
        async with serving(authority, limits) as server:
            port = await port_of(server)
            tls = authority.client(authority.issue("gateway"))
            async with Client("localhost", port, tls=tls) as known:
                silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
                while server.counters()["unauthenticated_open"] < 2:
                    await known.ping()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                assert await reader.read() == b""
                writer.close()
                assert server.counters()["connections_refused"] == 1
                await known.ping()
                for reader, writer in silent:
                    await to_the_end(reader)
                    writer.close()
                while server.counters()["unauthenticated_open"]:
                    await known.ping()
                async with Client("localhost", port, tls=tls):
                    pass

    run(scenario())


def test_noise_instead_of_a_handshake_disturbs_nobody(run: Any, authority: Authority) -> None:
    """It is hung up on and counted."""

    async def scenario() -> None:
        async with serving(authority) as server:
            port = await port_of(server)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            await to_the_end(reader)
            writer.close()
            tls = authority.client(authority.issue("gateway"))
            async with Client("localhost", port, tls=tls):
                assert server.counters()["handshakes_failed"] == 1

    run(scenario())


def test_another_certificate_serves_the_next_connection_and_drops_nobody(
    run: Any, authority: Authority, tmp_path: Path
) -> None:
    """The old one is not served any more."""
    renewed = Authority(tmp_path, "renewed")

    async def scenario() -> None:
        async with serving(authority) as server:
            port = await port_of(server)
            old = authority.client(authority.issue("gateway"))
            new = renewed.client(renewed.issue("gateway"))
            async with Client("localhost", port, tls=old) as standing:
                server.replace_tls(renewed.server(renewed.issue_for_localhost()))
                async with Client("localhost", port, tls=new) as client:
                    await client.room_create(room="club/1")
                with pytest.raises(ConnectionLost, match="certificate verify failed"):
                    await Client("localhost", port, tls=old).connect()
                await standing.room_get(room="club/1")

    run(scenario())


def test_closing_ends_handshakes_too(run: Any, authority: Authority) -> None:
    """And frees the port at once."""

    async def scenario() -> None:
        server = serving(authority)
        port = await port_of(server)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not server.counters()["unauthenticated_open"]:
            await asyncio.sleep(0)
        await server.close(within_s=0.2)
        await to_the_end(reader)
        writer.close()
        again = Server(FakeDaemon(), epoch="e", tls=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        await again.start(f"127.0.0.1:{port}")
        await again.close()

    run(scenario())
