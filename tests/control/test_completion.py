"""What `sfuctl completion` prints makes a shell complete; asked of bash itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from control.commands import COMMANDS
from control.sfuctl.arguments import SHELLS, parser
from control.sfuctl.completion import nodes, script

# What bash does at a tab: the words so far, the last of them being completed, and the answers.
COMPLETE = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_sfuctl
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(tmp_path: Path, *words: str) -> set[str]:
    """What bash offers for the last of these words."""
    sourced = tmp_path / "sfuctl.bash"
    sourced.write_text(script("bash", parser({})))
    done = subprocess.run(
        ["bash", "--norc", "-c", COMPLETE, "bash", str(sourced), "sfuctl", *words],
        capture_output=True,
        text=True,
        timeout=10,
        cwd=tmp_path,
        check=True,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_groups_verbs_and_options(tmp_path: Path) -> None:
    groups = completed(tmp_path, "")
    assert {"room", "watch", "events", "completion", "--json"} <= groups
    assert completed(tmp_path, "room", "mu") == {"mute-all"}
    assert completed(tmp_path, "room", "create", "lobby", "--max") == {
        "--max-participants",
        "--max-speakers",
    }


def test_bash_completes_values(tmp_path: Path) -> None:
    """Of options, of positionals, and names of files where a file is wanted."""
    assert completed(tmp_path, "room", "create", "x", "--hand-policy", "") == {"open", "closed"}
    assert "moderator" in completed(tmp_path, "participant", "set-role", "lobby", "red", "mod")
    (tmp_path / "offer.sdp").write_text("v=0")
    assert completed(tmp_path, "participant", "restart-ice", "lobby", "red", "of") == {"offer.sdp"}
    assert completed(tmp_path, "--key-file", "of") == {"offer.sdp"}


def test_a_value_is_not_taken_for_a_command(tmp_path: Path) -> None:
    """A room, a file or an address may be called as a verb is."""
    assert completed(tmp_path, "--address", "room", "hand", "l") == {"lower", "list"}
    assert completed(tmp_path, "room", "get", "create", "--") == {"--help", "--json"}


@pytest.mark.parametrize("shell", SHELLS)
def test_every_verb_is_in_every_script(shell: str) -> None:
    text = script(shell, parser({}))
    for method in COMMANDS:
        words = method.replace(".", " ").replace("_", "-")
        assert re.search(rf"['\"] {words}['\"]", text), words


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_finds_no_fault_with_the_script(shell: str, tmp_path: Path) -> None:
    """As far as the shell is installed; bash is everywhere."""
    path = tmp_path / "script"
    path.write_text(script(shell, parser({})))
    found = shutil.which(shell)
    assert found or shell != "bash"
    if found:
        done = subprocess.run([found, "-n", str(path)], capture_output=True, text=True, timeout=10)
        assert (done.returncode, done.stderr) == (0, "")


def test_nodes_tell_options_that_take_values() -> None:
    by_path = {node.path: node for node in nodes(parser({}))}
    mute = by_path["track", "mute"]
    assert "--lock" in mute.options and "--lock" not in mute.choices
    assert mute.choices["--actor"] == []
