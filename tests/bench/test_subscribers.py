"""What subscribers cost: a small run against a real daemon."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from bench.subscribers import Received, measure


def test_only_events_and_gaps_are_counted() -> None:
    """Answers to pings have no name."""
    received = Received()
    for name in ("room.updated", "", "events.gap", "room.updated"):
        received.note(name)
    assert (received.events, received.gaps) == (2, 1)


@pytest.mark.slow
def test_every_subscriber_gets_every_event() -> None:
    """At the rate asked for, and none of them is missed."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(measure(subscribers=10, rate=50.0, seconds=1.0))
    assert 10 * 50 * 0.6 < figures["events_received_per_s"] < 10 * 50 * 1.1
    assert figures["events_missed"] == 0
    assert figures["busy_subscribers_cpu_percent"] < 50
