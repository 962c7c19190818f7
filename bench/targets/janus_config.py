"""The configuration of a Janus that does nothing but audio rooms, as fast as it can.

Its parts are found where packages put them; everything else is written into a folder of the run, so
that what is in /etc does not matter.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.targets import Place, TargetError

_TRANSPORT: Final = "libjanus_pfunix.so"
# Debian's, and where `make install` puts them.
_ROOTS: Final = (Path("/usr"), Path("/usr/local"), Path("/opt/janus"))
# Errors alone: what it prints for each client at higher levels is work of no use.
_DEBUG_LEVEL: Final = 2


@dataclass(frozen=True)
class Installed:
    """The parts of Janus that a run needs."""

    program: Path
    plugins: tuple[Path, ...]
    transport: Path


def find_janus(
    roots: Iterable[Path] = _ROOTS, plugins: Sequence[str] = ("videoroom",)
) -> Installed:
    """Raises TargetError, which says how to get it, when it or a part of it is missing."""
    roots = tuple(roots)
    programs = [str(root / "bin") for root in roots]
    program = shutil.which("janus", path=":".join(programs))
    if program is None:
        raise TargetError("janus is not installed: apt-get install janus")
    libraries = tuple(_library(roots, f"libjanus_{plugin}.so") for plugin in plugins)
    return Installed(Path(program), libraries, _library(roots, _TRANSPORT))


def _library(roots: tuple[Path, ...], name: str) -> Path:
    for root in roots:
        # Debian has a folder for each architecture.
        for folder in ("lib/janus", "lib/*/janus"):
            for found in sorted(root.glob(f"{folder}/*/{name}")):
                return found
    raise TargetError(f"janus is installed without {name}: Debian's package has it")


@dataclass(frozen=True)
class Settings:
    """`event_loops` is the number of threads for media; 0 is one for every client, the default of
    Janus itself, which is slower.
    """

    event_loops: int = 1


def write_config(folder: Path, installed: Installed, place: Place, settings: Settings) -> Path:
    """Fill `folder`; returns the path of the socket that the API will be on."""
    api = folder / "api"
    parts = {"plugins": installed.plugins, "transports": (installed.transport,)}
    for kind, libraries in parts.items():
        (folder / kind).mkdir()
        for library in libraries:
            (folder / kind / library.name).symlink_to(library)
    for kind in ("events", "loggers"):
        (folder / kind).mkdir()
    (folder / "janus.jcfg").write_text(_core(folder, place, settings))
    (folder / "janus.transport.pfunix.jcfg").write_text(
        _section("general", enabled=True, json="compact", path=str(api), type="SOCK_SEQPACKET")
    )
    for library in installed.plugins:
        plugin = library.name.removeprefix("libjanus_").removesuffix(".so")
        # Rooms and participants by the names the load gives them.
        (folder / f"janus.plugin.{plugin}.jcfg").write_text(_section("general", string_ids=True))
    return api


def _core(folder: Path, place: Place, settings: Settings) -> str:
    """No STUN or TURN server, one interface, no statistics, no statement about silence."""
    folders = {f"{kind}_folder": str(folder / kind) for kind in ("plugins", "transports")}
    folders |= {f"{kind}_folder": str(folder / kind) for kind in ("events", "loggers")}
    loops = {"event_loops": settings.event_loops} if settings.event_loops else {}
    general = _section(
        "general",
        **folders,
        **loops,
        debug_level=_DEBUG_LEVEL,
        debug_colors=False,
        interface=place.address,
        # One session serves the whole load; it lasts as long as the connection.
        session_timeout=0,
    )
    media = _section("media", ipv6=":" in place.address, no_media_timer=0)
    # ICE-lite: fewer timers and checks, and the load's clients answer none.
    nat = _section("nat", nice_debug=False, ice_lite=True, ice_enforce_list=place.address)
    return general + media + nat


def _section(section: str, **values: str | int | bool) -> str:
    lines = "".join(f"\t{name} = {_literal(value)}\n" for name, value in values.items())
    return f"{section}: {{\n{lines}}}\n"


def _literal(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else f'"{value}"'
