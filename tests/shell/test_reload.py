"""SIGHUP: keys, certificates and log level are taken over, and nobody is dropped for nothing."""

from __future__ import annotations

import json
import signal
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from control.auth import Key
from control.client import Client
from control.errors import ConnectionLost, ControlError
from sfu.shell.config import ConfigError
from sfu.shell.loading import Source
from sfu.shell.reload import Changes, changes_between, in_force
from tests.control.authority import Authority
from tests.shell.process import DaemonProcess

OLD, NEW = "o" * 32, "n" * 32


def key(name: str, secret: str = OLD, scope: str = "admin") -> str:
    """One table of the file."""
    return f'[[control.keys]]\nid = "{name}"\nsecret = "{secret}"\nscopes = ["{scope}"]\n'


def write(folder: Path, *parts: str) -> Path:
    """The configuration file; its ports are chosen by the kernel."""
    path = folder / "sfu.toml"
    path.write_text("".join(parts))
    return path


def test_what_changed_is_named_and_what_needs_a_restart_too(tmp_path: Path) -> None:
    old = Source(write(tmp_path, key("a"), key("b"), key("c"))).load()
    new = Source(
        write(tmp_path, key("b", NEW), key("c"), key("d"), "[limits]\nmax_rooms = 5\n"),
        ["log.level=debug", "http.listen=127.0.0.1:1"],
    ).load()
    assert changes_between(old, new) == Changes(
        keys_added=("d",),
        keys_removed=("a",),
        keys_changed=("b",),
        log_level=True,
        restart=("http.listen", "limits.max_rooms"),
    )
    assert changes_between(new, new) == Changes((), (), (), False, ())
    after = in_force(old, new)
    assert after.keys == new.keys and after.config.log.level == "debug"
    assert changes_between(after, new).restart == ("http.listen", "limits.max_rooms")


@pytest.mark.parametrize(
    ("tls", "complaint"),
    [
        ('certificate = "none.pem"\nkey = "none.pem"', "control.tls.certificate: "),
        ('certificate = "empty.pem"\nkey = "empty.pem"', "control.tls.key: "),
        ('certificate = "good.pem"\nkey = "other.pem"', "control.tls.key: "),
        (
            'certificate = "good.pem"\nkey = "good.pem"\nclient_ca = "empty.pem"',
            "control.tls.client_ca: ",
        ),
    ],
)
def test_unusable_certificates_are_one_line_that_names_the_key(
    tmp_path: Path, tls: str, complaint: str
) -> None:
    authority = Authority(tmp_path)
    (tmp_path / "empty.pem").write_text("")
    (tmp_path / "good.pem").write_bytes(authority.issue_for_localhost().read_bytes())
    (tmp_path / "other.pem").write_bytes(authority.issue("other").read_bytes())
    with pytest.raises(ConfigError) as refused:
        Source(write(tmp_path, key("a"), f"[control.tls]\n{tls}\n")).load()
    assert str(refused.value).startswith(complaint) and "\n" not in str(refused.value)


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_a_passphrase(tmp_path: Path) -> None:
    """A daemon that waits for a terminal neither starts nor reloads."""
    whole = Authority(tmp_path).issue_for_localhost().read_bytes()
    private = serialization.load_pem_private_key(whole, None)
    encrypted = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (tmp_path / "c.pem").write_bytes(whole)
    (tmp_path / "k.pem").write_bytes(encrypted)
    tls = '[control.tls]\ncertificate = "c.pem"\nkey = "k.pem"\n'
    with pytest.raises(ConfigError, match=r"control.tls.key: .*k.pem: is encrypted"):
        Source(write(tmp_path, key("a"), tls)).load()


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ('[control.tls]\ncertificate = "a\\u0000"\nkey = "a"\n', "control.tls.certificate: "),
        ('[[control.keys]]\nid = "b"\nsecret_file = "a\\u0000"\nscopes = ["read"]\n', "b: "),
    ],
)
def test_a_name_that_no_file_can_have_is_a_fault_of_the_configuration(
    tmp_path: Path, parts: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Source(write(tmp_path, key("a"), parts)).load()


def test_a_key_without_a_secret_needs_an_authority_for_clients(tmp_path: Path) -> None:
    bare = '[[control.keys]]\nid = "a"\nscopes = ["admin"]\n'
    tls = '[control.tls]\ncertificate = "c.pem"\nkey = "c.pem"\n'
    for parts in ((bare,), (bare, tls)):
        with pytest.raises(ConfigError, match="or neither of them with control.tls.client_ca"):
            Source(write(tmp_path, *parts)).load()
    with pytest.raises(ConfigError, match="client_ca: needs control.keys"):
        Source(write(tmp_path, tls, 'client_ca = "ca.pem"\n')).load()


async def test_a_reload_follows_keys_and_drops_nobody_else(tmp_path: Path) -> None:
    path = write(tmp_path, key("stays"), key("goes"))
    with DaemonProcess(config=path) as daemon:
        address = daemon.listening["control"]
        async with Client(address, key=Key("stays", OLD.encode())) as stays:
            await stays.room_create(room="lobby")
            goes = Client(address, key=Key("goes", OLD.encode()))
            await goes.connect()
            write(tmp_path, key("stays", NEW), key("comes"), '[log]\nlevel = "debug"\n')
            daemon.signal(signal.SIGHUP)
            told = daemon.read_until("reloaded")
            assert (told["keys_removed"], told["keys_changed"]) == (["goes"], ["stays"])
            assert (told["keys_added"], told["log_level"]) == (["comes"], True)
            with pytest.raises((ControlError, ConnectionLost)):
                await goes.room_list()
            await goes.close()
            assert (await stays.room_get(room="lobby")).room == "lobby"
            async with Client(address, key=Key("comes", OLD.encode())) as comes:
                await comes.room_get(room="lobby")
            with pytest.raises(ControlError, match="wrong mac"):
                await Client(address, key=Key("stays", OLD.encode())).connect()


async def test_a_file_that_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    with DaemonProcess(config=write(tmp_path, key("stays"))) as daemon:
        async with Client(daemon.listening["control"], key=Key("stays", OLD.encode())) as client:
            write(tmp_path, "[contrl]\n")
            daemon.signal(signal.SIGHUP)
            assert "no such key" in daemon.read_until("not_reloaded")["error"]
            await client.room_create(room="lobby")


async def test_a_renewed_certificate_is_served_after_a_reload(tmp_path: Path) -> None:
    """And the certificate of a backend is its key."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    text = (
        '[control.tls]\ncertificate = "server.pem"\nkey = "server.pem"\nclient_ca = "ca.pem"\n'
        '[[control.keys]]\nid = "gateway"\nscopes = ["admin"]\n'
    )

    def install(authority: Authority) -> ssl.SSLContext:
        (tmp_path / "server.pem").write_bytes(authority.issue_for_localhost().read_bytes())
        (tmp_path / "ca.pem").write_bytes(authority.certificate.read_bytes())
        return authority.client(authority.issue("gateway"))

    before = install(old)
    with DaemonProcess(config=write(tmp_path, text)) as daemon:
        async with Client(daemon.listening["control"], tls=before) as client:
            after = install(new)
            daemon.signal(signal.SIGHUP)
            daemon.read_until("reloaded")
            await client.room_create(room="lobby")
            async with Client(daemon.listening["control"], tls=after) as renewed:
                await renewed.room_get(room="lobby")


async def test_a_draining_daemon_is_not_ready_and_is_again_after_undrain() -> None:
    with DaemonProcess() as daemon:
        async with Client(daemon.listening["control"]) as client:
            await client.server_drain(deadline_s=60)
            assert readiness(daemon) == 503
            await client.server_undrain()
            assert readiness(daemon) == 200
            info: Any = await client.server_info()
            assert {"rooms", "speakers", "joins_per_s", "connections"} <= info.limits.keys()
            assert info.limits.keys() == info.use.keys()
            assert json.dumps(info.use)


def readiness(daemon: DaemonProcess) -> int:
    """Status of the probe."""
    try:
        with urllib.request.urlopen(f"http://{daemon.listening['http']}/readyz") as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
