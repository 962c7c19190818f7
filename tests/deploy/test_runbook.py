"""The runbook knows every alert, and its commands, figures and links are true."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from control.sfuctl.arguments import parser
from deploy.grafana.panels import ROWS
from tests.deploy.prometheus import DEPLOY, RULE_FILES

FILE = DEPLOY / "RUNBOOK.md"
TEXT = FILE.read_text()
MEASUREMENTS = DEPLOY.parent / "bench" / "measurements"
ALERTS = "".join(file.read_text() for file in RULE_FILES)
# A plan is no lower than what was measured, and no more than so many times as high.
PLAN_MOST = 2.0
# Names of others: of cgroups, and of compose.
OF_OTHERS = {"nr_throttled", "stop_grace_period"}
# In examples, for what a reader fills in.
_CAPITALS = re.compile(r"^[A-Z]+$")


def anchor(heading: str) -> str:
    """What a page of Markdown calls a heading in links."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


ANCHORS = {anchor(heading) for heading in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)}


def test_every_alert_has_its_section_and_leads_there() -> None:
    names = re.findall(r"- alert: (\w+)", ALERTS)
    links = re.findall(r"runbook_url: deploy/RUNBOOK\.md#(\w+)", ALERTS)
    assert links == [anchor(name) for name in names]
    assert sorted(re.findall(r"^### (Rostrum\w+)$", TEXT, re.MULTILINE)) == sorted(names)


def test_one_command_puts_the_address_of_a_copy_before_every_link(tmp_path: Path) -> None:
    (command,) = re.findall(r"`(sed -i [^`]+)`", TEXT)
    base = re.findall(r"https://[^|]+/", command)[0]
    for file in RULE_FILES:
        shutil.copy(file, tmp_path)
    words = [word for word in shlex.split(command) if "*" not in word]
    subprocess.run([*words, *tmp_path.glob("*.yaml")], check=True)
    changed = "".join(file.read_text() for file in sorted(tmp_path.glob("*.yaml")))
    assert changed == ALERTS.replace(": deploy/RUNBOOK.md#", f": {base}deploy/RUNBOOK.md#")
    assert changed.count(base) == len(re.findall(r"- alert: ", ALERTS))


def test_every_section_of_an_alert_says_what_it_means_and_what_cures_it() -> None:
    for section in re.split(r"^### ", TEXT, flags=re.MULTILINE)[1:]:
        assert "**Means** " in section and "**Cure**" in section, section


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        file, _, place = target.partition("#")
        assert (FILE.parent / file).exists(), target
        assert file or place in ANCHORS, target


def test_every_command_is_understood() -> None:
    commands = re.findall(r"`sfuctl ([a-z-][^`]*)`", TEXT)
    assert len(commands) >= 8
    for command in commands:
        filled_in = ["x" if _CAPITALS.match(word) else word for word in shlex.split(command)]
        parser({}).parse_args(filled_in)


def test_every_panel_that_it_names_is_on_the_dashboard() -> None:
    titles = {panel.title for row in ROWS.values() for panel in row}
    named = set(re.findall(r"(?<!\*)\*([A-Z][\w ,']+)\*(?!\*)", TEXT))
    assert len(named) > 10
    assert {name for name in named if not any(title.startswith(name) for title in titles)} == set()


def test_names_of_events_settings_and_reasons_are_known_elsewhere() -> None:
    root = DEPLOY.parent
    documents = (
        "README.md",
        "control/PROTOCOL.md",
        "deploy/LOGS.md",
        "deploy/grafana/rostrum.json",
    )
    known = ALERTS + "".join((root / name).read_text() for name in documents)
    prose = re.sub(r"^\|.*$", "", TEXT, flags=re.MULTILINE)
    names = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", prose)) - OF_OTHERS
    assert len(names) > 10
    assert {name for name in names if name not in known} == set()


@pytest.mark.parametrize(
    ("plan", "run", "figure"),
    re.findall(r"^\| [^|]+ \| ([\d.]+) \| [^|]+ \| `([\w-]+)` `(\w+)` \|$", TEXT, re.MULTILINE),
)
def test_what_to_plan_with_is_what_was_measured_and_some(plan: str, run: str, figure: str) -> None:
    measured = read(MEASUREMENTS / f"{run}.json", figure)
    assert measured <= float(plan) <= PLAN_MOST * measured


def read(file: Path, figure: str) -> float:
    """A figure of the only run in a file of measurements."""
    (run,) = json.loads(file.read_text())["runs"]
    return float(run["figures"][figure])
