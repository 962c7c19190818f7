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
from control.types import LeaveReason, ParticipantState, RoomState, SubscriptionState
from sfu.listening import LADDER, Cause, Demand, Tier, cost_bps
from sfu.stage import REASON_CLOSED
from sfu.stage.lifetime import REASON_EMPTY, REASON_ORPHANED
from sfu.worker.draining import REASON_DRAINED
from sfu.worker.intake import LIMITS

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


@pytest.mark.parametrize(
    ("method", "field", "limit"),
    [
        ("room.sync", "participants", 10_000),
        ("events.subscribe", "rooms", 10_000),
        ("events.subscribe", "types", 64),
        ("subscription.update", "always", 64),
        ("subscription.update", "never", 64),
        ("participant.join", "offer", 40_960),
        ("participant.join", "echo_group", 128),
        ("room.close", "reason", 128),
        ("track.mute", "actor", 256),
        ("room.create", "empty_timeout_s", 31_536_000),
        ("stage.invite", "expires_s", 86_400),
        ("server.drain", "deadline_s", 86_400),
    ],
)
def test_how_large_a_parameter_may_be_is_told(method: str, field: str, limit: int) -> None:
    """In the paragraph below the table."""
    kind = {**COMMANDS, **SESSION_COMMANDS}[method]
    properties = msgspec.json.schema(kind)["$defs"][kind.__name__]["properties"]
    bounds = re.findall(r"'(?:maxItems|maxLength|maximum)': (\d+)", str(properties[field]))
    assert str(limit) in bounds
    paragraph = re.search(r"^Lists have at most.*?\n\n", SECTIONS["Commands"], re.DOTALL | re.M)
    assert paragraph is not None and f"{limit:,}" in paragraph[0]
    assert f"`{field}`" in paragraph[0] or field == "empty_timeout_s"


def row_of(section: str, name: str) -> list[str]:
    """The cells of the table row that begins with this name, or has it among its first."""
    lines = SECTIONS[section].splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("| `")]
    return next(row for row in rows if f"`{name}`" in row[0])


@pytest.mark.parametrize("method", sorted(COMMANDS))
def test_results_are_listed_with_their_fields(method: str) -> None:
    """Each field of the result, by its name."""
    cell = row_of("Commands", method)[2]
    fields: list[Any] = list(msgspec.structs.fields(COMMANDS[method].result))
    for field in fields:
        name = field.encode_name + ("" if field.required else "?")
        assert re.search(rf"\b{re.escape(name)}", cell), name
    assert fields or "{}" in cell


@pytest.mark.parametrize("method", sorted(EVENTS))
def test_events_are_listed_with_their_fields(method: str) -> None:
    """Those that may be absent with a question mark."""
    cell = row_of("Events", method)[1]
    fields: list[Any] = list(msgspec.structs.fields(EVENTS[method]))
    for field in fields:
        assert f"`{field.encode_name}{'' if field.required else '?'}`" in cell, field.encode_name
    assert fields or "`" not in cell


def test_fields_of_states_are_all_there() -> None:
    """Those of rooms, of participants and of subscriptions, with what may be absent."""
    room, rest = SECTIONS["Values"].split("**Participant**")
    participant, subscription = rest.split("**Subscription**")
    kinds = ((room, RoomState), (participant, ParticipantState), (subscription, SubscriptionState))
    for text, kind in kinds:
        for name in kind.__struct_fields__:
            assert re.search(rf"`{name}\??`", text), name


def test_what_a_tier_takes_of_a_line_is_told_as_the_ladder_reckons() -> None:
    """With one talker, and with three where that makes a difference."""
    rows = re.findall(r"^\| `(\w+)` \| .* \| (\d+)(?: to (\d+))? \|$", SECTIONS["Values"], re.M)
    told = {tier: [int(kbps) for kbps in (one, three or one)] for tier, one, three in rows}
    reckoned = {
        tier.value: [
            round(cost_bps(tier, Demand(talkers=talkers), int(tier is Tier.A0)) / 1_000)
            for talkers in (1, 3)
        ]
        for tier in LADDER
    }
    off = {tier: told[tier] for tier in reckoned if told[tier] != reckoned[tier]}
    assert not off and set(told) == set(reckoned), reckoned


def test_every_cause_is_told() -> None:
    """As the ladder and rooms give them."""
    assert all(f"`{cause}`" in SECTIONS["Values"] for cause in Cause)


def test_every_command_is_explained() -> None:
    """In a sentence below the table, but for those whose row says it all."""
    prose = SECTIONS["Commands"].partition("Pages count from 0")[2]
    told = {"participant.get", "participant.list", "room.get", "room.list", "server.stats"}
    assert {method for method in COMMANDS if f"`{method}" not in prose} == told


def test_reasons_of_rooms_and_names_of_limits_are_told() -> None:
    """As the daemon says them."""
    reasons = (REASON_CLOSED, REASON_EMPTY, REASON_ORPHANED, REASON_DRAINED)
    assert all(f"`{reason}`" in SECTIONS["Commands"] for reason in reasons)
    limits = (*LIMITS, "connections", "unauthenticated", "idempotency_keys")
    assert all(f"`{limit}`" in SECTIONS["Commands"] for limit in limits)


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
