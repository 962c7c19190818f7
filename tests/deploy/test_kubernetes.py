"""The manifests agree with each other, with the image and with the daemon's configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from control.commands import ServerDrain
from control.sfuctl.arguments import command_of, parser
from sfu.shell.config import load
from tests.deploy.manifests import DEPLOY, documents, option

FOLDER = DEPLOY / "kubernetes"


@pytest.fixture(scope="module")
def objects() -> dict[tuple[str, str], dict[str, Any]]:
    """Every object that `kubectl apply -k` makes, by kind and name."""
    (kustomization,) = documents(FOLDER / "kustomization.yaml")
    every = [one for name in kustomization["resources"] for one in documents(FOLDER / name)]
    return {(one["kind"], one["metadata"]["name"]): one for one in every}


@pytest.fixture(scope="module")
def pod(objects: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = objects["StatefulSet", "rostrum"]["spec"]["template"]["spec"]
    return spec


@pytest.fixture(scope="module")
def daemon(pod: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod["containers"]
    assert isinstance(container, dict)
    return container


def test_every_manifest_is_applied() -> None:
    (kustomization,) = documents(FOLDER / "kustomization.yaml")
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == files


def test_the_configuration_is_usable_and_listens_where_the_ports_say(
    objects: dict[tuple[str, str], dict[str, Any]], daemon: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "sfu.toml"
    file.write_text(objects["ConfigMap", "rostrum"]["data"]["sfu.toml"])
    known = {"$(POD_NAME)": "rostrum-0", "$(NODE_ADDRESS)": "203.0.113.7"}
    overrides = option(daemon["args"], "set")
    for name, value in known.items():
        overrides = [override.replace(name, value) for override in overrides]
    config = load(file, overrides)
    assert (config.node, config.announced) == ("rostrum-0", [("203.0.113.7", None)])
    ports = {port["name"]: port for port in daemon["ports"]}
    (media,) = config.media_endpoints
    assert ports["media"]["hostPort"] == ports["media"]["containerPort"] == media.port
    assert ports["http"]["containerPort"] == config.http_endpoint.port
    assert config.control.listen.endswith(f":{ports['control']['containerPort']}")


def test_every_variable_in_the_arguments_comes_from_the_downward_api(
    daemon: dict[str, Any],
) -> None:
    fields = {one["name"]: one["valueFrom"]["fieldRef"]["fieldPath"] for one in daemon["env"]}
    assert fields == {"POD_NAME": "metadata.name", "NODE_ADDRESS": "status.hostIP"}


def test_the_pod_outlives_its_drain(
    objects: dict[tuple[str, str], dict[str, Any]],
    pod: dict[str, Any],
    daemon: dict[str, Any],
    tmp_path: Path,
) -> None:
    file = tmp_path / "sfu.toml"
    file.write_text(objects["ConfigMap", "rostrum"]["data"]["sfu.toml"])
    config = load(file)
    hook = daemon["lifecycle"]["preStop"]["exec"]["command"]
    asked = parser({}).parse_args(hook[1:])
    assert hook[0] == "sfuctl"
    assert command_of(asked) == ServerDrain(deadline_s=int(config.drain.deadline_s))
    assert pod["terminationGracePeriodSeconds"] >= config.drain.deadline_s + 30
    (path,) = option(hook, "key-file")
    assert (asked.key_id, path) in [(key.id, key.secret_file) for key in config.control.keys]


def test_probes_ask_what_the_daemon_answers(daemon: dict[str, Any]) -> None:
    assert daemon["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert daemon["readinessProbe"]["failureThreshold"] == 1, "not ready means nobody new, at once"
    assert daemon["livenessProbe"]["httpGet"]["path"] == "/livez"


def test_a_daemon_that_stands_still_is_not_waited_for_as_long_as_one_that_drains(
    daemon: dict[str, Any],
) -> None:
    for probe in ("livenessProbe", "startupProbe"):
        assert daemon[probe]["terminationGracePeriodSeconds"] <= 10, probe


def test_the_container_may_do_nothing(pod: dict[str, Any], daemon: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert daemon["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_everything_that_selects_the_daemon_finds_it(
    objects: dict[tuple[str, str], dict[str, Any]], daemon: dict[str, Any]
) -> None:
    template = objects["StatefulSet", "rostrum"]["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"] for port in daemon["ports"]}
    for name in ("rostrum", "rostrum-ready"):
        service = objects["Service", name]["spec"]
        assert service["selector"].items() <= template.items()
        assert {port["targetPort"] for port in service["ports"]} <= ports
    budget = objects["PodDisruptionBudget", "rostrum"]["spec"]
    assert budget["selector"]["matchLabels"].items() <= template.items()
    monitor = objects["ServiceMonitor", "rostrum"]["spec"]
    service = objects["Service", "rostrum"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert {one["port"] for one in monitor["endpoints"]} <= {
        port["name"] for port in service["spec"]["ports"]
    }
