"""Alerts: each is shown firing and keeping quiet, and asks for metrics that there are."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.deploy import prometheus
from tests.deploy.manifests import documents
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


def relabelled(monitor: dict[str, Any], folder: Path, pods: dict[str, dict[str, str]]) -> Any:
    """The labels under which an operator's Prometheus scrapes these addresses, by address.

    That makes the monitor's `relabelings` its own, in its spelling.
    """
    (endpoint,) = monitor["spec"]["endpoints"]
    rules = [
        {
            re.sub("[A-Z]", lambda one: f"_{one[0].lower()}", key): value
            for key, value in rule.items()
        }
        for rule in endpoint["relabelings"]
    ]
    config = folder / "prometheus.yaml"
    targets = [{"targets": [address], "labels": labels} for address, labels in pods.items()]
    job = {"job_name": "rostrum", "static_configs": targets, "relabel_configs": rules}
    config.write_text(json.dumps({"scrape_configs": [job]}))
    done = subprocess.run(
        ["promtool", "check", "service-discovery", "--timeout=1s", config, "rostrum"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    return {one["discoveredLabels"]["__address__"]: one["labels"] for one in found}


@prometheus.needed
def test_a_pod_that_takes_the_place_of_another_goes_on_with_its_series(tmp_path: Path) -> None:
    (monitor,) = documents(DEPLOY / "kubernetes" / "service-monitor.yaml")
    pods = {
        "10.0.0.1:7780": ("live", "rostrum-0"),
        "10.0.0.2:7780": ("live", "rostrum-0"),
        "10.0.0.3:7780": ("live", "rostrum-1"),
        "10.0.0.4:7780": ("trial", "rostrum-0"),
    }
    labels = {
        address: {"__meta_kubernetes_namespace": space, "__meta_kubernetes_pod_name": pod}
        for address, (space, pod) in pods.items()
    }
    found = relabelled(monitor, tmp_path, labels)
    instances = {address: one["instance"] for address, one in found.items()}
    assert instances == {address: f"{space}/{pod}" for address, (space, pod) in pods.items()}


def test_every_metric_that_rules_name_is_exported() -> None:
    with DaemonProcess() as daemon:
        exported = prometheus.exported(prometheus.get_text(prometheus.metrics_url(daemon)))
    wanted = prometheus.named("".join(file.read_text() for file in RULE_FILES))
    assert len(wanted) > 20
    assert wanted <= exported
