"""The YAML of deploy/ as plain data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"


def documents(path: Path) -> list[dict[str, Any]]:
    """All documents of a file."""
    return list(yaml.safe_load_all(path.read_text()))


def option(words: list[str], name: str) -> list[str]:
    """The values of `--name value` and `--name=value` in a command line."""
    flag = f"--{name}"
    given = [after for word, after in zip(words, words[1:], strict=False) if word == flag]
    return given + [word.partition("=")[2] for word in words if word.startswith(f"{flag}=")]
