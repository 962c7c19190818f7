"""The list of log events is that of the source."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "deploy/LOGS.md").read_text()
ROWS = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", TEXT, re.MULTILINE))
FIELDS = {
    name: set(re.findall(r"`(\w+)`", fields))
    for name, fields in re.findall(r"^\| `(\w+)` \| \w+ \| (.*?) \|", TEXT, re.MULTILINE)
}
LOGGERS = {"_log", "log", "self._log", "self.log", "self._hub.log"}
LEVELS = {"debug", "info", "warning", "error"}
# Written under other names: `exc_info` is rendered as `exception`.
RENAMED = {"exc_info": "exception"}


def calls() -> list[tuple[str, str, ast.Call]]:
    """Event, level and call of every line that the daemon logs."""
    found = []
    for path in [*(ROOT / "sfu").rglob("*.py"), *(ROOT / "control").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args:
                found += [(*named, node) for named in [event_of(node)] if named]
    return found


def event_of(call: ast.Call) -> tuple[str, str] | None:
    """Of a call of a logger with a literal name."""
    name = ast.unparse(call.func)
    logger, _, method = name.rpartition(".")
    if logger == "self" and method == "_about":
        level, event = "info", call.args[0]
    elif name in LOGGERS:
        level, event = "warning", call.args[0]
    elif logger in LOGGERS and method in LEVELS:
        level, event = method, call.args[0]
    elif logger == "log" and method == "log":
        level, event = "any", call.args[1]
    else:
        return None
    if isinstance(event, ast.Constant) and isinstance(event.value, str):
        return event.value, level
    return None


def test_every_event_is_listed_with_its_level_and_no_other() -> None:
    logged = {event: level for event, level, _ in calls()}
    assert len(logged) > 20
    assert ROWS == logged


def test_every_named_field_is_listed() -> None:
    given: defaultdict[str, set[str]] = defaultdict(set)
    for event, _, call in calls():
        names = {keyword.arg for keyword in call.keywords if keyword.arg}
        given[event] |= {RENAMED.get(name, name) for name in names}
    for event, fields in given.items():
        assert fields <= FIELDS[event], event


@pytest.mark.parametrize("event", sorted(ROWS))
def test_names_are_words_joined_by_underscores(event: str) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", event)


def test_no_line_is_logged_under_a_name_that_is_made_up_on_the_way() -> None:
    """A name with a number or an address in it would be a new event each time."""
    for path in (ROOT / "sfu").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("_log."):
                first = node.args[0]
                is_handed_on = isinstance(first, ast.Name) and first.id == "event"
                assert isinstance(first, ast.Constant) or is_handed_on, ast.unparse(node)
