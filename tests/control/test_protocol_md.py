"""The reference is true to the code: its names, its limits and its example bytes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

import control
from control.commands import COMMANDS, SESSION_COMMANDS, Ping, PingResult
from control.envelope import encode_request, encode_response, success
from control.errors import ErrorCode
from control.events import EVENTS
from control.server import ServerLimits, _told
from control.types import LeaveReason, ParticipantState, RoomState

TEXT = (Path(control.__file__).parent / "PROTOCOL.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))


def first_cells(section: str) -> list[str]:
    """The names in the first column of a section's tables."""
    rows = re.findall(r"^\| (`[^|]*) \|", SECTIONS[section], re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def test_every_command_is_listed() -> None:
    """And nothing else is."""
    listed = set(first_cells("Commands"))
    known = {name for name in (*COMMANDS, *SESSION_COMMANDS) if "." in name}
    assert listed == known


@pytest.mark.parametrize("method", sorted(COMMANDS))
def test_parameters_are_listed_with_what_is_optional(method: str) -> None:
    """In the order of the type."""
    row = next(line for line in SECTIONS["Commands"].splitlines() if f"`{method}`" in line)
    cell = row.split("|")[2].strip().strip("`")
    fields: list[Any] = list(msgspec.structs.fields(COMMANDS[method]))
    expected = [field.encode_name + ("" if field.required else "?") for field in fields]
    assert cell == ", ".join(expected)


def test_events_errors_and_reasons_are_all_there() -> None:
    """Under their names."""
    assert set(first_cells("Events")) == set(EVENTS)
    assert first_cells("Errors") == [code.value for code in ErrorCode]
    assert all(f"`{reason.value}`" in SECTIONS["Events"] for reason in LeaveReason)


def test_fields_of_states_are_all_there() -> None:
    """Those of rooms and of participants."""
    room, participant = SECTIONS["Values"].split("**Participant**")
    for text, kind in ((room, RoomState), (participant, ParticipantState)):
        for name in kind.__struct_fields__:
            assert re.search(rf"`{name}\??`", text), name


def test_limits_are_the_ones_told() -> None:
    """Name by name, with their numbers."""
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", SECTIONS["Limits"], re.MULTILINE)
    assert {name: int(value.replace(",", "")) for name, value in rows} == _told(ServerLimits())


def test_the_example_bytes_are_the_real_ones() -> None:
    """A ping and its answer."""
    lines = re.findall(r"^    ((?:[0-9a-f]{2} +)+[0-9a-f]{2})$", SECTIONS["Example"], re.MULTILINE)
    assert [bytes.fromhex(line) for line in lines] == [
        encode_request(1, Ping()),
        encode_response(1, success(PingResult())),
    ]
