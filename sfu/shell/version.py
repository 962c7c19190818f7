"""The version of what runs."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """The installed version; a checkout that was never installed says so."""
    try:
        return metadata.version("rostrum")
    except metadata.PackageNotFoundError:
        return "0+checkout"
