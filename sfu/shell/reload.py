"""What a reload changes in a running daemon, and what it cannot. Pure.

Keys, certificates, the log level and the deadline of a drain are taken over without dropping
anybody. The rest is sockets, tables and promises that live as long as the process: it is named, and
stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from control.auth import Key
from sfu.shell.loading import Loaded

# Taken over by a reload, with everything below. Whether TLS is spoken at all is not: listeners are
# made for one or the other.
_RELOADED = frozenset(
    {
        "log.level",
        "drain.deadline_s",
        "control.keys",
        "control.tls.certificate",
        "control.tls.key",
        "control.tls.client_ca",
    }
)


@dataclass(frozen=True)
class Changes:
    """What differs. `restart` are the dotted names of settings that only a restart takes over."""

    keys_added: tuple[str, ...]
    keys_removed: tuple[str, ...]
    keys_changed: tuple[str, ...]
    log_level: bool
    restart: tuple[str, ...]


def changes_between(old: Loaded, new: Loaded) -> Changes:
    """Compare two configurations that can both be used."""
    before, after = _by_id(old.keys), _by_id(new.keys)
    common = before.keys() & after.keys()
    differing = _differing(msgspec.to_builtins(old.config), msgspec.to_builtins(new.config))
    return Changes(
        keys_added=tuple(sorted(after.keys() - common)),
        keys_removed=tuple(sorted(before.keys() - common)),
        keys_changed=tuple(sorted(name for name in common if before[name] != after[name])),
        log_level=old.config.log.level != new.config.log.level,
        restart=tuple(name for name in differing if name not in _RELOADED),
    )


def in_force(old: Loaded, new: Loaded) -> Loaded:
    """What counts after the reload: the new of what a reload takes over, else the old."""
    replace = msgspec.structs.replace
    before, after = old.config, new.config
    config = replace(
        before,
        log=replace(before.log, level=after.log.level),
        drain=after.drain,
        control=replace(before.control, keys=after.control.keys, tls=after.control.tls),
    )
    return Loaded(config, new.keys, new.tls, new.tls_validity)


def _by_id(keys: tuple[Key, ...]) -> dict[str, Key]:
    return {key.key_id: key for key in keys}


def _differing(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted names of the settings that differ; a table that came or went is one name."""
    for name, before in old.items():
        after, path = new[name], prefix + name
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _differing(before, after, path + ".")
        elif before != after:
            yield path
