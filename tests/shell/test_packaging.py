"""The package: its lists are complete, and a wheel of it runs outside the checkout."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FAST = ROOT / "sfu" / "fast"


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def cimports(name: str) -> set[str]:
    """The modules of sfu/fast that `name` needs at compile time, itself included, transitively."""
    seen: set[str] = set()
    waiting = {name}
    while waiting:
        module = waiting.pop()
        seen.add(module)
        for suffix in ("pyx", "pxd") if module == name else ("pxd",):
            path = FAST / f"{module}.{suffix}"
            if path.exists():
                found = re.findall(r"^from sfu\.fast\.(\w+) cimport", path.read_text(), re.M)
                waiting |= set(found) - seen
    return seen


def test_every_package_is_listed(project: dict[str, Any]) -> None:
    found = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for top in ("bench", "control", "sfu")
        for init in (ROOT / top).rglob("__init__.py")
    }
    assert set(project["tool"]["setuptools"]["packages"]) == found


def test_every_compiled_module_is_listed_with_what_it_is_made_of(project: dict[str, Any]) -> None:
    """A missing dependency would leave a stale module after an edit."""
    listed = {
        module["name"].rpartition(".")[2]: set(module.get("depends", ()))
        for module in project["tool"]["setuptools"]["ext-modules"]
    }
    assert set(listed) == {source.stem for source in FAST.glob("*.pyx")}
    for name, depends in listed.items():
        needed = {f"sfu/fast/{one}.pxd" for one in cimports(name)}
        assert depends == {path for path in needed if (ROOT / path).exists()}, name


def test_the_lock_holds_names_versions_and_hashes_only() -> None:
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        assert re.match(r"^(#|[a-z0-9-]+==[\w.]+ |    --hash=sha256:[0-9a-f]{64})", line), line
        assert "://" not in line


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_wheel_runs_outside_the_checkout(tmp_path: Path) -> None:
    """Built from a copy, unpacked where the libraries are seen and the checkout is not."""
    source = tmp_path / "source"
    for package in ("bench", "control", "sfu"):
        shutil.copytree(
            ROOT / package,
            source / package,
            ignore=shutil.ignore_patterns("*.so", "_*.c", "__pycache__"),
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", ".", cwd=source)
    (wheel,) = (source / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"control/py.typed", "sfu/py.typed", "sfu/fast/_forward.pyi"} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "deploy/"))]
    assert [name for name in names if name.endswith(".c")] == ["bench/floor.c"]

    run(sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv"), cwd=tmp_path)
    (packages,) = (tmp_path / "venv").glob("lib/python3*/site-packages")
    zipfile.ZipFile(wheel).extractall(packages)
    # The libraries, but not the .pth files of this environment, which lead to the checkout.
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = str(tmp_path / "venv" / "bin" / "python")
    where = run(python, "-c", "import control, sfu; print(control.__file__, sfu.__file__)")
    assert str(ROOT) not in where
    assert where.count(str(packages)) == 2
    told = run(python, "-m", "sfu.shell.cli", "version")
    assert told.startswith("rostrum 0.1.0, Python 3.")
    assert '"candidates"' in run(python, "-m", "sfu.shell.cli", "check-config")
    assert "--listeners" in run(python, "-m", "bench.cli", "room", "--help")


def run(*command: str, cwd: Path | None = None) -> str:
    """Standard output of a command that must succeed; its errors are in the failure."""
    done = subprocess.run(command, cwd=cwd or "/", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
