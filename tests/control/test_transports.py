"""The same conversation over TLS and Unix sockets, on asyncio and on uvloop."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from control import Client, ConnectionLost
from control.events import HandLowered
from control.server import Server
from tests.control.conftest import ADMIN
from tests.control.fake_daemon import FakeDaemon
from tests.control.wire import PATIENCE_S

NAME = "localhost"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate of localhost in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(private + signed.public_bytes(pem))
    return path


def contexts(certificate: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's and the client's."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    return server, ssl.create_default_context(cafile=str(certificate))


async def converse(
    address: str, server_tls: ssl.SSLContext | None, client_tls: ssl.SSLContext | None
) -> None:
    """A command with an answer of many frames' size, an event, and an orderly end."""
    daemon = FakeDaemon()
    async with Server(daemon, epoch="e", keys=[ADMIN], tls=server_tls) as server:
        endpoint = await server.start(address)
        if not address.startswith("unix:"):
            address = f"{NAME}:{endpoint.port}"  # type: ignore[union-attr]
        async with Client(address, key=ADMIN, tls=client_tls) as client:
            async with client.events(rooms=["r"]) as events:
                state = await client.room_create(room="r", metadata={"a": "x" * 16_000})
                assert state == daemon.rooms["r"]
                answers = await asyncio.gather(*(client.room_list() for _ in range(50)))
                assert all(answer.rooms == [state] for answer in answers)
                server.publish("r", HandLowered(participant="p"))
                async with asyncio.timeout(PATIENCE_S):
                    assert (await anext(events)).seq == 1


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("transport", ["tcp", "tls", "unix", "unix+tls"])
def test_a_conversation(loop: str, transport: str, certificate: Path, tmp_path: Path) -> None:
    """Every transport on every loop."""
    address = f"unix:{tmp_path}/c.sock" if transport.startswith("unix") else f"{NAME}:0"
    tls = contexts(certificate) if transport.endswith("tls") else (None, None)
    run = uvloop.run if loop == "uvloop" else asyncio.run
    run(converse(address, *tls))


async def test_a_client_without_trust_does_not_connect(certificate: Path) -> None:
    """The certificate is checked."""
    server_tls, _ = contexts(certificate)
    async with Server(FakeDaemon(), epoch="e", tls=server_tls) as server:
        endpoint = await server.start(f"{NAME}:0")
        address = f"{NAME}:{endpoint.port}"  # type: ignore[union-attr]
        with pytest.raises(ConnectionLost, match="certificate verify failed"):
            await Client(address, tls=ssl.create_default_context()).connect()
