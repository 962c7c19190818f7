"""Alerts: each is shown firing and keeping quiet, and asks for metrics that there are."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy import prometheus
from tests.deploy.prometheus import DEPLOY, RULE_FILES
from tests.shell.process import DaemonProcess

CASES = Path(__file__).parent / "rules"


def promtool(*arguments: str | Path) -> None:
    """Run it; what it says is what the test says."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def alerts(file: Path) -> list[str]:
    """The names of the alerts that a file of rules defines."""
    return re.findall(r"^ +- alert: (\w+)$", file.read_text(), re.MULTILINE)


@prometheus.needed
def test_the_configuration_and_its_rules_are_valid() -> None:
    promtool("check", "config", DEPLOY / "prometheus" / "prometheus.yaml")


@prometheus.needed
@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.stem)
def test_alerts_fire_when_they_should_and_keep_quiet_before(file: Path) -> None:
    promtool("test", "rules", CASES / file.name)


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.stem)
def test_every_alert_has_a_case_of_each_kind(file: Path) -> None:
    cases = (CASES / file.name).read_text()
    quiet = re.findall(r"- \{alertname: (\w+), eval_time: \w+, exp_alerts: \[\]\}", cases)
    firing = re.findall(
        r"- alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:\n +- exp_labels", cases
    )
    assert sorted(quiet) == sorted(firing) == sorted(alerts(file))


def test_every_metric_that_rules_name_is_exported() -> None:
    with DaemonProcess() as daemon:
        exported = prometheus.exported(prometheus.get_text(prometheus.metrics_url(daemon)))
    wanted = prometheus.named("".join(file.read_text() for file in RULE_FILES))
    assert len(wanted) > 20
    assert wanted <= exported
