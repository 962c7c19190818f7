"""The pages' own modules: what they name in texts, icons, elements and classes is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.club.room.authority import OTHERS, Action

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "deploy/club/static"
TEMPLATES = ROOT / "deploy/club/templates"
MODULES = {path.name: path.read_text() for path in sorted(STATIC.glob("*.js"))}
CODE = "\n".join(MODULES.values())
ROOM_PAGE = (TEMPLATES / "room/room.html").read_text()
TEXTS = set(re.findall(r'^  "(\w+)": _\(', ROOM_PAGE, re.MULTILINE))
ICONS = set(re.findall(r'id="icon-(\w+)"', (TEMPLATES / "room/icons.svg").read_text()))
PROTOCOL = (ROOT / "control/PROTOCOL.md").read_text()
CHECK_JS = ROOT / ".ci/check-js"
# Written out in room.js and line.js where they are made of parts.
MADE_KEYS = {
    *(f"quality_{bars}" for bars in (0, 1, 2, 3, 4, "paused")),
    *(f"left_{reason}" for reason in ("removed", "banned", "replaced", "other")),
}


def test_every_text_that_a_module_names_is_on_the_page() -> None:
    named = set(re.findall(r'\bt\(\s*"(\w+)"', CODE)) | MADE_KEYS
    named |= set(re.findall(r'setLabel\(\w+, "(\w+)"', CODE))
    assert named
    assert named <= TEXTS, named - TEXTS


def test_every_text_on_the_page_is_used() -> None:
    words = set(re.findall(r'"(\w+)"', CODE)) | MADE_KEYS
    unused = {key for key in TEXTS - words if not key.startswith(("cause_", "microphone_"))}
    assert not unused


@pytest.mark.parametrize("action", sorted(set(OTHERS) - {Action.PING}))
def test_a_moderators_button_has_a_name_and_what_needs_one_an_icon(action: Action) -> None:
    assert f'"{action}"' in MODULES["authority.js"], "no button for it"
    assert action in TEXTS
    if action not in (Action.CALL_UP, Action.INVITE):
        assert action in ICONS


def test_every_icon_that_the_page_names_is_drawn() -> None:
    named = set(re.findall(r"#icon-(\w+)", ROOM_PAGE))
    named |= set(re.findall(r'"((?:un)?mute|raise_hand|(?:un)?lock(?:_hands)?)"', CODE))
    assert named
    assert named <= ICONS, named - ICONS


def test_every_element_that_a_module_asks_for_is_on_the_page() -> None:
    ids = set(re.findall(r'\bid="([\w-]+)"', ROOM_PAGE))
    asked = set(re.findall(r'(?:button|dialog|by)(?:By)?Id\("([\w-]+)"\)', CODE))
    assert len(asked) > 20
    assert asked <= ids, asked - ids


def test_every_tier_of_the_audio_server_is_shown() -> None:
    """A tier that the page does not know would be shown as no sound."""
    table = PROTOCOL.split("**Tiers**")[1].split("**Subscription**")[0]
    tiers = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    bars = re.search(r"const BARS = \{(.*?)\}", MODULES["controls.js"])
    assert bars is not None
    assert tiers
    assert tiers <= set(re.findall(r"(\w+):", bars[1]))


def test_every_class_in_a_template_has_a_style() -> None:
    styles = "".join((STATIC / name).read_text() for name in ("style.css", "room.css"))
    styled = set(re.findall(r"\.([a-z][\w-]*)", styles))
    for path in TEMPLATES.rglob("*.html"):
        for value in re.findall(r'class="([^"]*)"', path.read_text()):
            plain = re.sub(r"[\w-]*(?:\{\{.*?\}\}|\{%.*?%\})", " ", value)
            assert set(plain.split()) <= styled, f"{path.name}: {set(plain.split()) - styled}"


def test_no_template_has_code_or_style_of_its_own() -> None:
    """The Content-Security-Policy stops all of it."""
    for path in TEMPLATES.rglob("*.html"):
        page = re.sub(r"\{[%{#].*?[#}%]\}", "", path.read_text(), flags=re.DOTALL)
        assert not re.search(r"\s(?:style|on[a-z]+)=[\"']", page), path.name
        assert "<style" not in page, path.name
        for tag in re.findall(r"<script[^>]*>", page):
            assert " src=" in tag or 'type="application/json"' in tag, path.name


def without_node(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """The check of types on a machine without Node."""
    for tool in ("bash", "dirname", "cmp"):
        found = shutil.which(tool)
        assert found is not None
        (folder / tool).symlink_to(found)
    environment = {"PATH": str(folder), **settings}
    return subprocess.run(
        [CHECK_JS], env=environment, capture_output=True, text=True, timeout=10, check=False
    )


def test_types_are_checked_where_node_is_and_left_out_with_one_line_elsewhere(
    tmp_path: Path,
) -> None:
    left_out = without_node(tmp_path)
    assert left_out.returncode == 0
    assert left_out.stderr == "check-js: skipped, node and npm are not here\n"


def test_leaving_out_the_types_is_a_failure_where_all_is_required(tmp_path: Path) -> None:
    assert without_node(tmp_path, REQUIRE_ALL="1").returncode == 1


def test_the_check_of_types_can_be_run() -> None:
    assert os.access(CHECK_JS, os.X_OK)
