"""The daemon's configuration: a TOML file, then `--set section.key=value` overrides, as values.

Every key has a default, and the defaults run on loopback with no file at all. Unknown keys, wrong
types and values that cannot work are a `ConfigError` that names the key; nothing is guessed or
ignored. What is read here is only text: sockets and names are resolved by those who need them.
"""

from __future__ import annotations

import re
import socket
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from control import endpoint as control_endpoints
from control.server import ServerLimits
from sfu.shell.config_names import choices, unknown_key
from sfu.shell.endpoint import Endpoint, parse_endpoint, split_port
from sfu.transport.candidates import Candidate
from sfu.worker.segmentation import SegmentationMode
from sfu.worker.settings import PARTICIPANTS_MAX, ROOMS_MAX, WorkerSettings

T = TypeVar("T")

_DEFAULTS = WorkerSettings(node="", version="")
# Every key is at most three levels deep; a value is read as TOML where it is TOML.
_OVERRIDE = re.compile(
    r"^(?P<path>[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+){0,2})=(?P<value>.*)$", re.DOTALL
)
_AT_PATH = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
# A file is written by hand; anything larger was meant for another program.
FILE_BYTES_MAX = 1_048_576

# More would be gigabytes; whoever is that far behind is better off with a snapshot.
REPLAY_EVENTS_MAX = 10_000_000
REPLAY_BYTES_MAX = 4_294_967_296

Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Scope = Annotated[str, Meta(pattern=r"^(admin|read|rooms:.*)$")]
KeyId = Annotated[str, Meta(min_length=1, max_length=128)]


class ConfigError(Exception):
    """The configuration cannot be used; the text is one line that names the key."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class ControlKey(Section, frozen=True, kw_only=True):
    """What a backend proves to know: one of `secret` and `secret_file` is given, or neither where
    clients may show certificates; then only one with the key's id as its name proves it.

    Scopes: `admin`, `read`, or `rooms:<prefix>` for only the rooms whose id begins so.
    """

    id: KeyId
    scopes: Annotated[list[Scope], Meta(min_length=1)]
    secret: str | None = None
    secret_file: str | None = None


class ControlTls(Section, frozen=True, kw_only=True):
    """TLS on the control port, from PEM files beside the configuration.

    With `client_ca`, a client's certificate of that authority proves the key whose id is its name.
    """

    certificate: str
    key: str
    client_ca: str | None = None


class Control(Section, frozen=True, kw_only=True):
    """Where backends steer. Without keys only loopback or a Unix socket is allowed.

    `replay_events` and `replay_bytes`: how much of the past is held for backends that come back;
    0 holds nothing.
    """

    listen: str = "127.0.0.1:7700"
    replay_events: Annotated[int, Meta(ge=0, le=REPLAY_EVENTS_MAX)] = ServerLimits.replay_events
    replay_bytes: Annotated[int, Meta(ge=0, le=REPLAY_BYTES_MAX)] = ServerLimits.replay_bytes
    keys: list[ControlKey] = []
    tls: ControlTls | None = None


class Media(Section, frozen=True, kw_only=True):
    """Where sound goes: at most one address of each family.

    `announce` (`host` or `host:port`) stands in for the machine's own addresses in what clients are
    told; with `announce_internal` they get both. `segmentation`: whether a listener's packets of a
    tick leave together, which costs less and may hold a packet for up to 20 ms.
    `report_listener_loss`: publishers are told what nine of ten listeners do not exceed in loss,
    where that is more than their own line loses, so that their encoders protect against it. `mix`:
    rooms are mixed for listeners whose line does not carry several voices, in a thread of its own.
    """

    listen: str | list[str] = "127.0.0.1:7800"
    announce: list[str] = []
    announce_internal: bool = False
    segmentation: SegmentationMode = "auto"
    report_listener_loss: bool = False
    mix: bool = True


class Http(Section, frozen=True, kw_only=True):
    """Where operators look: metrics, probes, the effective configuration."""

    listen: str = "127.0.0.1:7780"


class Log(Section, frozen=True, kw_only=True):
    """How lines are written to standard output.

    `addresses`: those of others are shortened to their network, or written in full.
    """

    format: Literal["json", "console"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"
    addresses: Literal["redacted", "full"] = "redacted"


class Drain(Section, frozen=True, kw_only=True):
    """How it ends: after SIGTERM participants may stay for `deadline_s` at most."""

    deadline_s: Annotated[float, Meta(ge=0, le=86_400)] = 1.0


class Limits(Section, frozen=True, kw_only=True):
    """What `WorkerSettings` lets an operator change."""

    max_rooms: Annotated[int, Meta(ge=1, le=ROOMS_MAX)] = _DEFAULTS.max_rooms
    max_participants: Annotated[int, Meta(ge=1, le=PARTICIPANTS_MAX)] = _DEFAULTS.max_participants
    max_participants_per_room: Count = _DEFAULTS.max_participants_per_room
    max_speakers_per_room: Count = _DEFAULTS.max_speakers_per_room
    max_speakers: Annotated[int, Meta(ge=1, le=PARTICIPANTS_MAX)] = _DEFAULTS.max_speakers
    max_joins_per_s: Count = _DEFAULTS.max_joins_per_s
    max_load: Annotated[float, Meta(gt=0, le=1)] = _DEFAULTS.max_load
    default_slots: Annotated[int, Meta(ge=1, le=6)] = _DEFAULTS.default_slots
    suspect_after_s: Seconds = _DEFAULTS.suspect_after_s
    gone_after_s: Seconds = _DEFAULTS.gone_after_s
    join_timeout_s: Seconds = _DEFAULTS.join_timeout_s
    default_empty_timeout_s: Annotated[int, Meta(ge=0, le=31_536_000)] = (
        _DEFAULTS.default_empty_timeout_s
    )


class Config(Section, frozen=True, kw_only=True):
    """The whole of it. `node` is the machine's name to backends; empty means the host name."""

    node: str = ""
    control: Control = Control()
    media: Media = Media()
    http: Http = Http()
    log: Log = Log()
    drain: Drain = Drain()
    limits: Limits = Limits()

    @property
    def control_endpoint(self) -> control_endpoints.Endpoint:
        """Where backends connect to."""
        return _parsed("control.listen", control_endpoints.parse_endpoint, self.control.listen)

    @property
    def http_endpoint(self) -> Endpoint:
        """Where operators connect to."""
        return _parsed("http.listen", parse_endpoint, self.http.listen)

    @property
    def media_endpoints(self) -> list[Endpoint]:
        """The UDP addresses, one or one of each family."""
        listen = self.media.listen
        texts = [listen] if isinstance(listen, str) else listen
        return [_parsed("media.listen", parse_endpoint, text) for text in texts]

    @property
    def announced(self) -> list[tuple[str, int | None]]:
        """Host (numeric or a name) and port (None: the one listened on) of each address."""
        return [_parsed("media.announce", split_port, text) for text in self.media.announce]

    def worker_settings(self, version: str) -> WorkerSettings:
        """The part that the worker needs."""
        limits = msgspec.structs.asdict(self.limits)
        return WorkerSettings(
            node=self.node or socket.gethostname(),
            version=version,
            segmentation=self.media.segmentation,
            report_listener_loss=self.media.report_listener_loss,
            **limits,
        )

    def masked(self) -> dict[str, Any]:
        """Everything as plain data, secrets hidden."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        for key in plain["control"]["keys"]:
            if key["secret"] is not None:
                key["secret"] = "***"
        return plain


def load(path: Path | None = None, overrides: Iterable[str] = ()) -> Config:
    """Read the file (None: none), apply the overrides, check everything; raises ConfigError."""
    raw = _read(path) if path is not None else {}
    for override in overrides:
        _apply(raw, override)
    unknown = unknown_key(raw, Config)
    if unknown is not None:
        raise ConfigError(unknown)
    try:
        config = msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(_at_path(str(error))) from None
    _check(config)
    return config


def key_secrets(config: Config, folder: Path) -> dict[str, bytes]:
    """The secret of each key id that has one; a relative `secret_file` is looked up in `folder`."""
    return {
        key.id: _secret(key, folder)
        for key in config.control.keys
        if key.secret is not None or key.secret_file is not None
    }


def effective_config(config: Config, candidates: Iterable[Candidate]) -> dict[str, Any]:
    """The configuration without secrets, and the candidates that every client gets."""
    told = [{"host": one.host, "port": one.port, "priority": one.priority} for one in candidates]
    return {**config.masked(), "candidates": told}


def _secret(key: ControlKey, folder: Path) -> bytes:
    if key.secret is not None:
        return key.secret.encode()
    assert key.secret_file is not None, "checked by load"
    path = folder / key.secret_file
    try:
        secret = path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise ConfigError(f"control.keys: {key.id}: {path}: {error.strerror}") from None
    except ValueError as error:  # a name with a NUL in it
        raise ConfigError(f"control.keys: {key.id}: {path}: {error}") from None
    if not secret:
        raise ConfigError(f"control.keys: {key.id}: {path} is empty")
    return secret


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ConfigError(f"{path}: larger than {FILE_BYTES_MAX} bytes")
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None


def _apply(raw: dict[str, Any], override: str) -> None:
    """Put one `section.key=value` into the tables of the file."""
    match = _OVERRIDE.match(override)
    if match is None:
        raise ConfigError(f"--set {override}: write it as section.key=value")
    *tables, name = match["path"].split(".")
    for table in tables:
        raw = raw.setdefault(table, {})
        if not isinstance(raw, dict):
            raise ConfigError(f"--set {override}: {table} is not a table")
    raw[name] = _value(match["value"])


def _value(text: str) -> Any:
    """A TOML value where it is one, otherwise the text itself, so that strings need no quotes."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _at_path(message: str) -> str:
    match = _AT_PATH.match(message)
    assert match is not None, "the pattern matches any text"
    what = match["what"][:1].lower() + match["what"][1:]
    path = match["path"] or ""
    if what.startswith("invalid enum value"):
        what += f"; one of {', '.join(choices(Config, path))}"
    return f"{path}: {what}" if path else what


def _parsed(key: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigError(f"{key}: {text!r}: {error}") from None


def _check(config: Config) -> None:
    """What the types alone cannot say."""
    _check_control(config)
    _check_media(config)
    _parsed("http.listen", parse_endpoint, config.http.listen)
    limits = config.limits
    if limits.suspect_after_s >= limits.gone_after_s:
        raise ConfigError("limits.suspect_after_s: must be less than limits.gone_after_s")


def _check_control(config: Config) -> None:
    seen: set[str] = set()
    for key in config.control.keys:
        if key.id in seen:
            raise ConfigError(f"control.keys: the id {key.id!r} is there twice")
        seen.add(key.id)
        _check_proof(key, config.control.tls)
        if key.secret == "":
            raise ConfigError(f"control.keys: {key.id}: the secret is empty")
    tls = config.control.tls
    if tls is not None and tls.client_ca is not None and not config.control.keys:
        raise ConfigError("control.tls.client_ca: needs control.keys that say who may do what")
    endpoint = config.control_endpoint
    if not endpoint.is_local and not config.control.keys:
        raise ConfigError(
            f"control.listen: {endpoint} is reachable from outside; without control.keys only"
            " loopback or unix:/path is allowed"
        )


def _check_proof(key: ControlKey, tls: ControlTls | None) -> None:
    given = (key.secret is not None) + (key.secret_file is not None)
    takes_certificates = tls is not None and tls.client_ca is not None
    if given == 2 or (given == 0 and not takes_certificates):
        raise ConfigError(
            f"control.keys: {key.id}: give either secret or secret_file, or neither of them with"
            " control.tls.client_ca"
        )


def _check_media(config: Config) -> None:
    endpoints = config.media_endpoints
    if not endpoints:
        raise ConfigError("media.listen: needs at least one address")
    if len({endpoint.is_ipv6 for endpoint in endpoints}) != len(endpoints):
        raise ConfigError("media.listen: at most one IPv4 and one IPv6 address")
    for (_, port), text in zip(config.announced, config.media.announce, strict=True):
        if port == 0:
            raise ConfigError(f"media.announce: {text!r}: the port cannot be 0")
