"""What a reader must know of the machine and the checkout to repeat a measurement."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path


def processor() -> str:
    """As the kernel names it; the architecture where it does not."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()


def commit() -> str:
    """Of the checkout that this file is in, `+` behind it when files differ from it; empty outside
    of a checkout.
    """
    head = _git("rev-parse", "HEAD")
    return f"{head}+" if head and _git("status", "--porcelain", "--untracked-files=no") else head


def _git(*words: str) -> str:
    try:
        found = subprocess.run(
            ["git", *words],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
