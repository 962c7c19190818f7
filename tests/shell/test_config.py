"""Configuration: defaults, file, overrides, and one clear line for whatever is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from control.endpoint import TcpEndpoint, UnixEndpoint
from sfu.shell.config import ConfigError, key_secrets, load
from sfu.shell.endpoint import Endpoint

KEY = '{id="backend", secret="correct horse", scopes=["admin"]}'


def error_of(*overrides: str) -> str:
    """The complaint about these overrides."""
    with pytest.raises(ConfigError) as caught:
        load(None, overrides)
    return str(caught.value)


def test_defaults_run_on_loopback_without_a_file() -> None:
    config = load()
    assert config.control_endpoint == TcpEndpoint("127.0.0.1", 7700)
    assert config.media_endpoints == [Endpoint("127.0.0.1", 7800)]
    assert config.http_endpoint == Endpoint("127.0.0.1", 7780)
    settings = config.worker_settings("1.2.3")
    assert settings.version == "1.2.3"
    assert settings.node
    assert settings.max_speakers_per_room == 20


def test_file_then_overrides(tmp_path: Path) -> None:
    file = tmp_path / "sfu.toml"
    file.write_text(
        """
        node = "east-1"
        [control]
        listen = "unix:/run/sfu.sock"
        [media]
        listen = ["0.0.0.0:7800", "[::]:7800"]
        announce = ["203.0.113.7", "media.example.com:443", "2001:db8::7"]
        [limits]
        max_rooms = 5
        """
    )
    config = load(file, ["limits.max_rooms=6", "log.format=console", "http.listen=[::1]:80"])
    assert config.control_endpoint == UnixEndpoint("/run/sfu.sock")
    assert config.media_endpoints == [Endpoint("0.0.0.0", 7800), Endpoint("::", 7800)]
    assert config.announced == [
        ("203.0.113.7", None),
        ("media.example.com", 443),
        ("2001:db8::7", None),
    ]
    assert config.http_endpoint == Endpoint("::1", 80)
    assert config.log.format == "console"
    assert config.worker_settings("0").max_rooms == 6
    assert config.worker_settings("0").node == "east-1"


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("media.anounce=[]", "media.anounce: no such key; did you mean media.announce?"),
        ("media_listen=x", "media_listen: no such key; did you mean media.listen?"),
        ("annouce=x", "annouce: no such key; did you mean media.announce?"),
        ("limts.max_rooms=3", "limts: no such key; did you mean limits?"),
        ("zebra=1", "zebra: no such key"),
        (
            'control.keys=[{id="a", secret="b", scope=["admin"]}]',
            "control.keys.scope: no such key; did you mean control.keys.scopes?",
        ),
    ],
)
def test_unknown_keys_are_errors_with_a_suggestion(override: str, complaint: str) -> None:
    assert error_of(override) == complaint


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("limits.max_rooms=many", "limits.max_rooms: expected `int`, got `str`"),
        ("limits.max_rooms=0", "limits.max_rooms: expected `int` >= 1"),
        ("limits.default_slots=7", "limits.default_slots: expected `int` <= 6"),
        ("limits.suspect_after_s=20", "limits.suspect_after_s: must be less than"),
        ("log.format=xml", "log.format: invalid enum value 'xml'; one of json, console"),
        ("media.listen=7800", "media.listen: expected `str | array`, got `int`"),
        ("media.listen=[]", "media.listen: needs at least one address"),
        ("media.listen=localhost:7800", "'localhost' is not a numeric IPv4 or IPv6 address"),
        ("media.listen=127.0.0.1", "the port is missing"),
        ("media.listen=127.0.0.1:70000", "'70000' is not a port"),
        ("media.listen=[::1:7800", "write an IPv6 address with a port as [address]:port"),
        (
            'media.listen=["127.0.0.1:1", "127.0.0.2:2"]',
            "media.listen: at most one IPv4 and one IPv6 address",
        ),
        ('media.announce=["example.com:0"]', "the port cannot be 0"),
        ('media.announce=[":7800"]', "the host is missing"),
        ("control.listen=unix:", "control.listen: 'unix:': no path"),
        ("control.listen=0.0.0.0:7700", "reachable from outside; without control.keys"),
        ("control.listen.port=7700", "control.listen: expected `str`, got `object`"),
        ('control.keys=[{id="a", scopes=["admin"]}]', "a: give either secret or secret_file, or"),
        ('control.keys=[{id="a", secret="", scopes=["read"]}]', "a: the secret is empty"),
        ('control.keys=[{id="a", secret="s", scopes=[]}]', "control.keys[0].scopes: expected"),
        ('control.keys=[{id="a", secret="s", scopes=["root"]}]', "control.keys[0].scopes[0]"),
        (f"control.keys=[{KEY}, {KEY}]", "the id 'backend' is there twice"),
        ("nonsense", "--set nonsense: write it as section.key=value"),
        ("a.b.c.d=1", "--set a.b.c.d=1: write it as section.key=value"),
    ],
)
def test_what_cannot_work_is_one_line_that_names_the_key(override: str, complaint: str) -> None:
    error = error_of(override)
    assert complaint in error
    assert "\n" not in error


def test_an_override_below_a_value_is_refused() -> None:
    assert "listen is not a table" in error_of("http.listen=127.0.0.1:1", "http.listen.port=2")


def test_outside_listening_is_allowed_with_a_key() -> None:
    config = load(None, ["control.listen=0.0.0.0:7700", f"control.keys=[{KEY}]"])
    assert config.control_endpoint == TcpEndpoint("0.0.0.0", 7700)


def test_secrets_come_from_the_file_or_beside_it(tmp_path: Path) -> None:
    (tmp_path / "b.secret").write_bytes(b"from a file\n")
    config = load(
        None,
        [f'control.keys=[{KEY}, {{id="b", secret_file="b.secret", scopes=["rooms:team-"]}}]'],
    )
    assert key_secrets(config, tmp_path) == {"backend": b"correct horse", "b": b"from a file"}


@pytest.mark.parametrize("content", [None, b"\n"])
def test_an_unusable_secret_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    config = load(None, ['control.keys=[{id="b", secret_file="x", scopes=["read"]}]'])
    with pytest.raises(ConfigError, match=r"^control.keys: b: .*/x"):
        key_secrets(config, tmp_path)


def test_secrets_are_masked() -> None:
    masked = load(None, [f"control.keys=[{KEY}]"]).masked()
    assert "correct horse" not in str(masked)
    assert masked["control"]["keys"][0]["secret"] == "***"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file or directory"),
        (b"[media\n", "(at line 1"),
        (b"\xff\xfe", "not UTF-8"),
        (b"#" * 1_048_577, "larger than 1048576 bytes"),
    ],
)
def test_an_unusable_file_is_named(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    file = tmp_path / "sfu.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(caught.value).startswith(str(file))
    assert complaint in str(caught.value)


def test_publishers_are_told_of_their_listeners_losses_only_on_demand() -> None:
    assert not load().worker_settings("0").report_listener_loss
    config = load(overrides=["media.report_listener_loss=true"])
    assert config.worker_settings("0").report_listener_loss
