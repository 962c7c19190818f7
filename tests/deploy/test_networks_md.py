"""deploy/NETWORKS.md is true: its rules are nftables', its settings the daemon's, its code runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
import time
import tomllib
from typing import Any

import pytest

from control.types import LeaveReason
from sfu.shell.announce import compute_candidates
from sfu.shell.config import load
from sfu.transport.candidates import Interface
from tests.deploy.manifests import DEPLOY
from tests.deploy.turn import SECRET, password_of
from tests.interop.wire import need

TEXT = (DEPLOY / "NETWORKS.md").read_text()
INSIDE = Interface("eth0", "10.0.0.5")


def indented(start: str) -> str:
    """The indented block that begins with this line."""
    found = re.search(rf"^    {re.escape(start)}.*?(?=^\S)", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None, start
    return textwrap.dedent(found[0])


def told(media: dict[str, Any]) -> list[str]:
    """What clients of a machine with 10.0.0.5 are told."""
    overrides = [f"media.{key}={value!r}".replace("True", "true") for key, value in media.items()]
    config = load(None, overrides)
    found = compute_candidates(config, config.media_endpoints, interfaces=lambda: [INSIDE])
    return [f"{one.host} {one.port}" for one in found]


def test_the_firewall_is_one_that_nftables_takes() -> None:
    need("nft")
    rules = indented("table inet rostrum")
    done = subprocess.run(["nft", "-c", "-f", "-"], input=rules, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_what_clients_are_told_behind_a_one_to_one_nat() -> None:
    media = tomllib.loads(indented("[media]"))["media"]
    assert told(media) == ["203.0.113.7 7800"]
    both = told({**media, "announce_internal": True})
    assert both == ["203.0.113.7 7800", "10.0.0.5 7800"]


def test_both_families_are_told() -> None:
    media = tomllib.loads(indented('listen = ["0.0.0.0:7800", "[::]:7800"]'))
    assert told(media) == ["203.0.113.7 7800", "2001:db8::7 7800"]


def test_every_announcement_is_one() -> None:
    values = re.findall(r"`announce = (\[.*?\])`", TEXT)
    assert len(values) >= 2
    for value in values:
        load(None, [f"media.announce={value}"])


def test_the_credentials_are_those_that_coturn_took() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)  # the example is code, and this file is its reader
    (entry,) = names["ice_servers"](SECRET.encode(), "guest-1", "turn.example.com")
    expiry, _, visitor = entry["username"].partition(":")
    lasts_s = int(expiry) - time.time()
    assert visitor == "guest-1"
    assert 0 < lasts_s <= 3_600
    assert entry["credential"] == password_of(SECRET.encode(), entry["username"])


def test_reasons_and_settings_that_are_named_exist() -> None:
    for reason in re.findall(r"`(\w+_expired)`", TEXT):
        assert reason in list(LeaveReason)
    load(None, ["limits.gone_after_s=20", "limits.join_timeout_s=30"])


@pytest.mark.parametrize("folder", ["", "systemd", "compose", "container", "kubernetes"])
def test_every_link_leads_somewhere(folder: str) -> None:
    name = "README.md" if folder else "NETWORKS.md"
    text = (DEPLOY / folder / name).read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (DEPLOY / folder / target).exists(), target


def test_the_recipe_names_options_that_coturn_has() -> None:
    program = shutil.which("turnserver")
    if program is None:
        pytest.skip("coturn is not installed (Debian: apt-get install coturn)")
    known = subprocess.run(
        [program, "-h"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ).stdout
    conf = (DEPLOY / "turn" / "turnserver.conf").read_text()
    for line in conf.splitlines():
        if line and not line.startswith("#"):
            assert f"--{line.partition('=')[0]}" in known, line
