"""What is wrong with how `sfuctl` was called."""

from __future__ import annotations


class UsageError(Exception):
    """The command line, a file or the environment is unusable."""
