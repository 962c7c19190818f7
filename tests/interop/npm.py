"""What a folder's lock file names, fetched by npm for a test."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

# Installing fetches one package of npm's registry.
INSTALL_TIMEOUT_S = 50.0


def has_npm() -> bool:
    """Whether this machine can install and run such packages."""
    return bool(shutil.which("node") and shutil.which("npm"))


def install(sources: Path, folder: Path) -> Path:
    """A copy of `sources` in `folder` with its `node_modules`; skips the test when npm cannot."""
    if not has_npm():
        pytest.skip("needs node and npm")
    shutil.copytree(sources, folder, ignore=shutil.ignore_patterns("node_modules"))
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm cannot install: {done.stderr.strip().splitlines()[0]}")
    return folder
