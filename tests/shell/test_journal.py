"""Lines of what happened, joined by the request that let somebody in."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from control.events import (
    EventBody,
    ParticipantConnected,
    ParticipantLeft,
    RoomClosed,
    ServerDraining,
    ServerOverloaded,
    SpeakersChanged,
)
from control.types import LeaveReason, Role
from sfu.shell.journal import Journal
from tests.shell.process import DaemonProcess
from tests.shell.test_serve import client_of
from tests.worker.harness import Bench, offer

LEFT = ParticipantLeft(participant="p", reason=LeaveReason.ICE_FAILED, generation=1)


def joined() -> EventBody:
    """As a worker tells it."""
    bench = Bench()
    bench.room()
    bench.join("p")
    return next(body for _, body in bench.told if body.method == "participant.joined")


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    """What was logged."""
    with capture_logs() as captured:
        yield captured


def test_lines_of_a_connection_name_the_request_that_began_it(lines: list[Any]) -> None:
    journal = Journal()
    journal.note("r", joined(), "7.42")
    journal.note("r", ParticipantConnected(participant="p", generation=1), "")
    assert journal.joined_by("r", "p") == "7.42"
    journal.note("r", LEFT, "")
    about = {"room": "r", "participant": "p", "joined_by": "7.42", "log_level": "info"}
    assert lines == [
        about | {"event": "participant_joined", "role": "listener", "request": "7.42"},
        about | {"event": "participant_connected"},
        about | {"event": "participant_left", "reason": "ice_failed"},
    ]
    assert len(journal) == 0 and journal.joined_by("r", "p") == ""


def test_what_a_command_did_names_it(lines: list[Any]) -> None:
    journal = Journal()
    journal.note("r", RoomClosed(reason="closed"), "8.1")
    journal.note(None, ServerDraining(deadline_ms=5), "8.2")
    journal.note(None, ServerOverloaded(limit="rooms"), "")
    assert [(line["event"], line.get("request")) for line in lines] == [
        ("room_closed", "8.1"),
        ("draining", "8.2"),
        ("overloaded", None),
    ]


def test_what_comes_often_is_not_logged(lines: list[Any]) -> None:
    journal = Journal()
    journal.note("r", SpeakersChanged(revision=1, speakers=[]), "")
    journal.note("r", ServerDraining(deadline_ms=5, migrate_by=6), "")
    assert lines == []


async def test_a_daemon_joins_control_and_media_lines() -> None:
    """Two connections, each with ids of its own."""
    with DaemonProcess("drain.deadline_s=0") as daemon:
        async with client_of(daemon) as first, client_of(daemon) as second:
            await first.room_create(room="r")
            await second.participant_join(
                room="r", participant="p", role=Role.LISTENER, offer=offer()
            )
            await first.participant_remove(room="r", participant="p")
            await second.participant_join(
                room="r", participant="q", role=Role.LISTENER, offer=offer()
            )
            daemon.signal(signal.SIGTERM)
            await first.close()
            await second.close()
        daemon.read_until("stopped")
    told = [line for line in daemon.before if line["event"].startswith("participant")]
    assert [line["event"] for line in told] == ["participant_joined", "participant_left"] * 2
    p_in, p_out, q_in, q_out = told
    assert p_in["request"] == p_in["joined_by"] == p_out["joined_by"]
    assert p_out["request"].split(".")[0] != p_in["request"].split(".")[0]
    assert q_in["request"] != p_in["request"]
    assert q_out["joined_by"] == q_in["request"] and "request" not in q_out
