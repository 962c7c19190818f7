"""The units are what systemd takes, let the service do little, and agree with the daemon."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sfu.shell.cli import EXIT_NOT_YET, EXIT_UNUSABLE
from sfu.shell.config import Config
from sfu.shell.udp import BUFFER_BYTES
from tests.deploy.units import FOLDER, settings

SERVICES = ("rostrum.service", "rostrum-club.service")
# systemd's own score, 0 (nothing to say against it) to 10.
EXPOSURE_MAX = 2.5

systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (Debian: systemd)"
)


def analyze(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """systemd-analyze, which needs no running systemd for files."""
    return subprocess.run(["systemd-analyze", *words], cwd=cwd, capture_output=True, text=True)


@systemd
@pytest.mark.parametrize("name", SERVICES)
def test_systemd_takes_every_line_of_a_unit(name: str, tmp_path: Path) -> None:
    text = (FOLDER / name).read_text()
    # It looks whether programs exist; those of the service are not installed here.
    text = re.sub(r"/opt/rostrum/bin/\w+", "/bin/true", text)
    (tmp_path / name).write_text(text)
    done = analyze("verify", "--man=no", name, cwd=tmp_path)
    said = [line for line in done.stderr.splitlines() if name in line]
    assert (done.returncode, said) == (0, [])


@systemd
@pytest.mark.parametrize("drop_in", [None, "low-port.conf"])
@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_do_little(name: str, drop_in: str | None, tmp_path: Path) -> None:
    text = (FOLDER / name).read_text()
    if drop_in is not None:
        text += (FOLDER / drop_in).read_text()
    (tmp_path / name).write_text(text)
    done = analyze("security", "--offline=true", "--no-pager", name, cwd=tmp_path)
    found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= EXPOSURE_MAX


def test_the_sysctl_file_grants_the_buffers_that_the_daemon_asks_for() -> None:
    lines = settings("rostrum.sysctl.conf")
    for key in ("net.core.rmem_max ", "net.core.wmem_max "):
        assert int(lines[key][0]) >= BUFFER_BYTES


def test_systemd_waits_for_longer_than_a_drain_lasts() -> None:
    (timeout,) = settings("rostrum.service")["TimeoutStopSec"]
    assert int(timeout) > Config().drain.deadline_s + 10


def test_a_configuration_that_cannot_be_used_is_not_tried_again() -> None:
    assert settings("rostrum.service")["RestartPreventExitStatus"] == [str(EXIT_UNUSABLE)]


def test_an_address_or_a_name_that_is_not_there_yet_is_tried_for_as_long_as_it_takes() -> None:
    unit = settings("rostrum.service")
    assert unit["Restart"] == ["on-failure"]
    assert unit["StartLimitIntervalSec"] == ["0"], "otherwise it gives up after a few"
    assert str(EXIT_NOT_YET) not in " ".join(unit["RestartPreventExitStatus"]).split()
    assert "SuccessExitStatus" not in unit


def test_the_daemon_may_read_what_its_process_metrics_are_made_of() -> None:
    """Without /proc/stat the collector has no figure at all, and three alerts would never fire."""
    assert settings("rostrum.service").get("ProcSubset", ["all"]) == ["all"]
