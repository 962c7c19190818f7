"""The compose file's parts agree with each other and with what they mount."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from deploy.club.connecting import OptionError
from deploy.club.web.options import hosts_of, parse_arguments, settings_of
from sfu.shell.config import Config, key_secrets, load
from tests.deploy.manifests import DEPLOY, documents, option

FOLDER = DEPLOY / "compose"
ADDRESS = "203.0.113.7"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    (found,) = documents(FOLDER / "compose.yaml")
    return found


def services(compose: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return list(compose["services"].items())


def command(compose: dict[str, Any], name: str) -> list[str]:
    """What a service is started with, variables put in; those that need not be given are not."""
    words: list[str] = compose["services"][name]["command"]
    words = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word) for word in words]
    return [re.sub(r"\$\{ROSTRUM_ADDRESS[^}]*\}", ADDRESS, word) for word in words]


def daemon_config(compose: dict[str, Any]) -> Config:
    return load(FOLDER / "sfu.toml", option(command(compose, "daemon"), "set"))


def test_the_daemon_announces_the_address_that_was_given(compose: dict[str, Any]) -> None:
    assert daemon_config(compose).announced == [(ADDRESS, None)]


def test_compose_waits_for_longer_than_a_drain_lasts(compose: dict[str, Any]) -> None:
    grace = compose["services"]["daemon"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > daemon_config(compose).drain.deadline_s + 10


def test_the_club_proves_a_key_that_the_daemon_knows(compose: dict[str, Any]) -> None:
    club = parse_arguments(command(compose, "club"))
    config = daemon_config(compose)
    assert club.control == config.control.listen
    assert (club.key_id, str(club.key_file)) in [
        (key.id, key.secret_file) for key in config.control.keys
    ]


def test_the_club_remembers_in_its_own_database(compose: dict[str, Any], tmp_path: Path) -> None:
    words = command(compose, "club")
    for secret in compose["services"]["club"]["secrets"]:
        (tmp_path / secret["target"]).write_text("0123456789abcdef" * 2)
    (tmp_path / "club.hosts").write_text("# nobody yet\n+49 1512\n")
    options = parse_arguments([word.replace("/run/secrets", str(tmp_path)) for word in words])
    database = compose["services"]["club-postgres"]
    url = make_url(settings_of(options).database_url)
    assert url.drivername == "postgresql+asyncpg"
    assert url.username == database["environment"]["POSTGRES_USER"]
    assert url.database == database["environment"]["POSTGRES_DB"]
    socket = f"club-postgres-socket:{url.query['host']}"
    assert socket in database["volumes"]
    assert socket in compose["services"]["club"]["volumes"]
    assert database["network_mode"] == "none"
    with pytest.raises(OptionError, match="line 2"):
        hosts_of(options)


def test_every_service_may_write_only_what_it_was_given(compose: dict[str, Any]) -> None:
    for name, service in services(compose):
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("mem_limit"), name
    assert compose["services"]["coturn"]["cap_add"] == ["NET_BIND_SERVICE"]


def test_a_capability_that_is_added_reaches_the_program(compose: dict[str, Any]) -> None:
    for name, service in services(compose):
        if service.get("cap_add"):
            assert service["user"] == "0:0", f"{name}: no-new-privileges keeps it from others"


def test_the_database_is_not_ready_while_it_is_set_up(compose: dict[str, Any]) -> None:
    for name in ("postgres", "club-postgres"):
        test = compose["services"][name]["healthcheck"]["test"]
        assert "--host=127.0.0.1" in test, "what sets it up listens on the socket only"


def test_every_file_that_is_mounted_is_there(compose: dict[str, Any]) -> None:
    named = set(compose["volumes"])
    for name, service in services(compose):
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in named or (FOLDER / source).exists(), (name, source)
        if build := service.get("build"):
            assert (FOLDER / build["context"] / build["dockerfile"]).exists()


def test_nothing_of_the_operators_is_open_to_the_network(compose: dict[str, Any]) -> None:
    config = daemon_config(compose)
    assert config.control_endpoint.is_local
    assert config.http_endpoint.host == "127.0.0.1"
    assert "--web.listen-address=127.0.0.1:9090" in command(compose, "prometheus")
    assert compose["services"]["grafana"]["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert compose["services"]["postgres"]["network_mode"] == "none"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_every_secret_is_made_once(compose: dict[str, Any], tmp_path: Path) -> None:
    for folder in ("compose", "turn"):
        shutil.copytree(
            DEPLOY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("secrets")
        )
    make = tmp_path / "compose" / "make-secrets"
    subprocess.run([make], check=True, stdout=subprocess.DEVNULL)
    made = {path.name: path.read_bytes() for path in (make.parent / "secrets").iterdir()}
    wanted = {Path(secret["file"]).name for secret in compose["secrets"].values()}
    assert wanted <= set(made)
    used = {one["source"] for _, service in services(compose) for one in service.get("secrets", [])}
    assert used == set(compose["secrets"])
    secret = made["turn.secret"].decode()
    assert f"static-auth-secret={secret}\n" in made["turnserver.conf"].decode()
    subprocess.run([make], check=True, stdout=subprocess.DEVNULL)
    assert made == {path.name: path.read_bytes() for path in (make.parent / "secrets").iterdir()}


def test_secrets_are_read_as_the_daemon_reads_them(tmp_path: Path) -> None:
    (tmp_path / "club.secret").write_text("0123456789abcdef0123456789abcdef")
    text = (FOLDER / "sfu.toml").read_text().replace("/run/secrets", str(tmp_path))
    (tmp_path / "sfu.toml").write_text(text)
    config = load(tmp_path / "sfu.toml")
    assert set(key_secrets(config, tmp_path)) == {"club"}
