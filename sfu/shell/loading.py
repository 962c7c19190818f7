"""Everything that a daemon reads from files at its start, and again when it is told to reload."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from control.auth import Key
from sfu.shell.config import Config, key_secrets, load
from sfu.shell.control_tls import control_context, control_validity


@dataclass(frozen=True)
class Loaded:
    """A configuration that can be used, with what its files hold."""

    config: Config
    keys: tuple[Key, ...]
    tls: ssl.SSLContext | None
    # From when until when the certificate of `tls` is valid, in unix seconds.
    tls_validity: tuple[float, float] | None = None


@dataclass(frozen=True)
class Source:
    """Where the configuration comes from: a file or none, and overrides from the command line."""

    path: Path | None = None
    overrides: Sequence[str] = ()

    def load(self) -> Loaded:
        """Read and check everything; raises ConfigError. Relative files are beside the file."""
        config = load(self.path, self.overrides)
        folder = self.path.parent if self.path else Path()
        secrets = key_secrets(config, folder)
        keys = tuple(
            Key(key.id, secrets.get(key.id), tuple(key.scopes)) for key in config.control.keys
        )
        tls = config.control.tls
        if tls is None:
            return Loaded(config, keys, None)
        context = control_context(tls, folder)
        return Loaded(config, keys, context, control_validity(tls, folder))
