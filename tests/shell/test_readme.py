"""The README's examples are true."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from control import Client
from sfu.shell.config import Config, key_secrets, load
from sfu.shell.config_names import key_paths

README = (Path(__file__).parents[2] / "README.md").read_text()


def example(language: str) -> str:
    """The only code block in this language."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return str(block)


def test_the_configuration_is_valid_and_names_every_key(tmp_path: Path) -> None:
    file = tmp_path / "sfu.toml"
    file.write_text(example("toml"))
    (tmp_path / "backend.secret").write_text("0123456789abcdef\n")
    config = load(file)
    assert key_secrets(config, tmp_path) == {"backend": b"0123456789abcdef"}
    named = set(re.findall(r"^\[*(\w+(?:\.\w+)*)\]*", example("toml"), re.MULTILINE))
    keys = {path.rpartition(".")[2] for path in key_paths(Config)} - {"secret"}
    assert keys <= {name.rpartition(".")[2] for name in named}


@pytest.mark.parametrize("section", ["limits", "log", "http"])
def test_the_configuration_shows_the_defaults(section: str) -> None:
    shown = tomllib.loads(example("toml"))[section]
    assert shown == msgspec.to_builtins(getattr(Config(), section))


def test_the_program_calls_what_the_client_has() -> None:
    calls = [
        node
        for node in ast.walk(ast.parse(example("python")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("rostrum.")
    ]
    assert len(calls) >= 4
    for call in calls:
        assert isinstance(call.func, ast.Attribute)
        signature = inspect.signature(getattr(Client, call.func.attr))
        signature.bind(None, **{str(keyword.arg): None for keyword in call.keywords})


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (Path(__file__).parents[2] / target).exists(), target
