"""The images' files: nothing unpinned, nobody is root, and the context is only what they copy."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "container"
LOCKS = sorted(FOLDER.glob("*.lock"))


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined, comments left out."""
    lines = (FOLDER / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    return [
        (word, " ".join(rest.split()))
        for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)
    ]


def pins(path: Path) -> dict[str, set[str]]:
    """Hashes by `name==version`."""
    found: dict[str, set[str]] = {}
    for line in path.read_text().splitlines():
        if pinned := re.match(r"[a-z0-9-]+==[\w.]+", line):
            hashes = found.setdefault(pinned[0], set())
        elif digest := re.search(r"--hash=(\S+)", line):
            hashes.add(digest[1])
    return found


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_what_an_image_installs_is_what_the_tests_ran_with(path: Path) -> None:
    """`make lock` makes all of them from one."""
    every = pins(ROOT / "requirements.lock")
    for pin, hashes in pins(path).items():
        assert hashes == every.get(pin), pin


def test_every_image_has_the_libraries_of_its_extra() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra in ("server", "club"):
        wanted = extras["dependencies"] + extras["optional-dependencies"][extra]
        names = {re.match(r"[\w-]+", one)[0].lower() for one in wanted}  # type: ignore[index]
        locked = {pin.partition("==")[0] for pin in pins(FOLDER / f"{extra}.lock")}
        assert names <= locked, extra


def test_nothing_is_installed_from_the_index_without_its_hash() -> None:
    for word, rest in instructions():
        for command in rest.split("&&") if word == "RUN" else []:
            if " install " in command and "pip" in command and "/wheels/" not in command:
                assert "--require-hashes" in command, command
                assert "--no-deps" in command, command


def test_both_images_run_as_a_number_that_is_not_root() -> None:
    users = [rest for word, rest in instructions() if word == "USER"]
    assert users == ["10001:10001"]
    stages = [rest.split() for word, rest in instructions() if word == "FROM"]
    parents = {stage[2]: stage[0] for stage in stages}
    assert parents["daemon"] == parents["club"] == "runtime"
    assert stages[-1][2] == "daemon", "the last stage is what a plain build makes"


def test_the_context_holds_what_the_images_copy_and_little_else() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            for source in shlex.split(rest)[:-1]:
                assert (ROOT / source).exists(), source
                covered = source in let_in or (source.endswith(".lock") and LOCKS)
                assert covered, source
