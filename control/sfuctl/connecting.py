"""A client as the options say: address, key, TLS."""

from __future__ import annotations

import argparse
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from control.auth import Key
from control.client import Client
from control.sfuctl.usage import UsageError

ADDRESS: Final = "127.0.0.1:7700"


def add_options(top: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    """Where to connect, and as whom, with the environment's defaults."""

    def file(flag: str, help_: str) -> None:
        default = environment.get("SFUCTL_" + flag.removeprefix("--").replace("-", "_").upper())
        top.add_argument(flag, metavar="FILE", default=default, help=help_)

    address = environment.get("SFUCTL_ADDRESS", ADDRESS)
    top.add_argument("--address", default=address, help="host:port or unix:/path (%(default)s)")
    key_id = environment.get("SFUCTL_KEY_ID")
    top.add_argument("--key-id", metavar="ID", default=key_id, help="which key")
    file("--key-file", "a file with the key's secret")
    top.add_argument("--tls", action="store_true", help="over TLS, as the system trusts")
    file("--tls-ca", "over TLS, trusting this authority")
    file("--tls-certificate", "over TLS, with this certificate of one's own")
    file("--tls-key", "its private key, if that is in another file")
    top.add_argument(
        "--timeout",
        type=float,
        default=10.0,
        metavar="SECONDS",
        dest="timeout_s",
        help="how long to wait for an answer (%(default)g)",
    )


def client_of(arguments: argparse.Namespace) -> Client:
    """The client, not connected yet. Raises UsageError when an option is unusable."""
    key = _key(arguments.key_id, arguments.key_file)
    tls = _tls(arguments)
    try:
        return Client(
            arguments.address, key=key, tls=tls, name="sfuctl", deadline_s=arguments.timeout_s
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


def _key(key_id: str | None, key_file: str | None) -> Key | None:
    """The key that was named, if one was. The file's surrounding white space is no part of it."""
    if key_id is None and key_file is None:
        return None
    if key_id is None or key_file is None:
        raise UsageError("--key-id and --key-file go together")
    try:
        return Key(key_id, Path(key_file).read_bytes().strip())
    except (OSError, ValueError) as error:
        raise UsageError(f"unusable key: {error}") from error


def _tls(arguments: argparse.Namespace) -> ssl.SSLContext | None:
    """What --tls and its kin ask for; one of them is enough."""
    authority, own = arguments.tls_ca, arguments.tls_certificate
    if not (arguments.tls or authority or own):
        return None
    try:
        context = ssl.create_default_context(cafile=authority)
        if own:
            context.load_cert_chain(own, arguments.tls_key)
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(f"unusable for TLS: {error}") from error
    return context
