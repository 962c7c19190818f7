"""The rule about skips in tests/conftest.py."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
SKIPS = """
import pytest

def test_runs():
    pass

@pytest.mark.skipif(True, reason="no unicorn here")
def test_needs_a_unicorn():
    pass

@pytest.mark.xfail(reason="known", strict=True)
def test_known():
    assert False
"""
SKIPPED_MODULE = 'import pytest\npytest.importorskip("unicorn_that_is_nowhere")\n'


def run(folder: Path, require_all: str) -> subprocess.CompletedProcess[str]:
    """pytest over a folder with the rule in it."""
    shutil.copy(CONFTEST, folder)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", "--rootdir", ".", "."],
        cwd=folder,
        env={**os.environ, "REQUIRE_ALL": require_all},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [(SKIPS, "no unicorn here"), (SKIPPED_MODULE, "could not import 'unicorn_that_is_nowhere'")],
)
def test_a_skip_fails_the_run_only_when_everything_is_required(
    tmp_path: Path, content: str, reason: str
) -> None:
    (tmp_path / "test_it.py").write_text(content + "\n\ndef test_more():\n    pass\n")
    (tmp_path / "test_other.py").write_text("def test_other():\n    pass\n")
    lenient = run(tmp_path, "0")
    assert lenient.returncode == 0
    assert reason in lenient.stdout
    strict = run(tmp_path, "1")
    assert strict.returncode == 1
    listed = strict.stdout.partition("these tests were skipped")[2]
    assert reason in listed
    assert "test_known" not in listed


def test_nothing_skipped_passes_either_way(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it():\n    pass\n")
    assert run(tmp_path, "1").returncode == 0
