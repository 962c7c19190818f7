"""A client of a daemon that runs elsewhere, as the command line says: address and key."""

from __future__ import annotations

import argparse
from pathlib import Path

from control import Client, Key

# The daemon may be started at the same moment.
CONNECT_WITHIN_S = 10.0


class OptionError(Exception):
    """The options cannot be used; the text is the one line that says why."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Where the daemon is, and as whom to connect."""
    parser.add_argument(
        "--control",
        default="127.0.0.1:7700",
        metavar="ADDRESS",
        help="the daemon's control port, host:port or unix:/path (%(default)s)",
    )
    parser.add_argument("--key-id", metavar="ID", help="which of the daemon's keys")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="a file with its secret")


def client_of(options: argparse.Namespace, name: str) -> Client:
    """The client, not connected yet. Raises OptionError."""
    if (options.key_id is None) is not (options.key_file is None):
        raise OptionError("--key-id and --key-file go together")
    key = None
    if options.key_id is not None:
        key = Key(options.key_id, read_secret(options.key_file))
    try:
        return Client(options.control, key=key, name=name, connect_within_s=CONNECT_WITHIN_S)
    except ValueError as error:
        raise OptionError(f"--control: {error}") from None


def read_secret(path: Path) -> bytes:
    """What a secret's file holds, without the end of its line. Raises OptionError."""
    try:
        secret = path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror}") from None
    if not secret:
        raise OptionError(f"{path} is empty")
    return secret
