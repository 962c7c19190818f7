"""Joins: stages, failures, and the pace."""

from __future__ import annotations

import asyncio
import random

import pytest

from bench.crowd import Crowd, Kit
from bench.handshake import Handshakes
from bench.joining import Joining, Seat, _stages
from bench.lifecycle import Times
from bench.targets import JoinRefused, Lines

MS = 1_000_000


class Refusing:
    """A target that takes nobody, or says nonsense."""

    def __init__(self, answer: str | None) -> None:
        self.answer = answer
        self.asked: list[tuple[str, float]] = []

    async def join(self, room: str, participant: str, role: str, peer: object) -> None:
        """Refuse, or answer with what is no description."""
        self.asked.append((participant, asyncio.get_running_loop().time()))
        peer.offer(Lines(False, 3))  # type: ignore[attr-defined]
        if self.answer is None:
            raise JoinRefused("full", limit="node_participants")
        peer.accept(self.answer)  # type: ignore[attr-defined]


@pytest.fixture
def crowd() -> Crowd:
    """Without a soul."""
    return Crowd(Kit(Handshakes(), random.Random(1)))


def times(*marks_ms: float) -> Times:
    """Ends of the stages, in ms since the beginning."""
    return Times(*(round(mark * MS) for mark in (1_000, *(1_000 + mark for mark in marks_ms))))


def test_each_stage_is_measured_from_the_end_of_the_one_before() -> None:
    """And `connected` is the whole, to the end of DTLS."""
    stages = {one.name: one for one in _stages([times(1, 3, 6, 10, 15), times(1, 3, 6, 20, 19)])}
    assert {name: one.p50_ms for name, one in stages.items()} == pytest.approx(
        {"offer": 1, "answer": 2, "ice": 3, "dtls": 4, "first_audio": 0, "connected": 10}
    )
    assert stages["connected"].max_ms == pytest.approx(20)
    assert stages["first_audio"].max_ms == pytest.approx(5)
    assert stages["dtls"].count == 2


def test_a_stage_that_nobody_reached_is_absent() -> None:
    """Rather than told as zero."""
    without_audio = times(1, 3, 6, 10)
    assert "first_audio" not in {one.name for one in _stages([without_audio])}
    assert _stages([]) == []


async def test_refusals_are_counted_by_their_limit(crowd: Crowd) -> None:
    """The load goes on."""
    joining = Joining(Refusing(None))  # type: ignore[arg-type]
    seats = [Seat("r", f"p{number}", "listener") for number in range(3)]
    assert await joining.join_all(crowd, seats, 1_000) == []
    result = joining.result()
    assert (result.attempted, result.connected, result.failed) == (3, 0, 3)
    assert result.failures == {"refused: node_participants": 3}
    assert result.joins_per_s is None


async def test_an_answer_that_cannot_be_used_is_a_failure(crowd: Crowd) -> None:
    """It says what is missing."""
    joining = Joining(Refusing("v=0\r\n"))  # type: ignore[arg-type]
    await joining.join_all(crowd, [Seat("r", "p", "listener")], 1_000)
    (reason,) = joining.result().failures
    assert "ICE credentials" in reason
    assert not crowd.clients


async def test_joins_keep_their_pace(crowd: Crowd) -> None:
    """Never faster than asked for."""
    target = Refusing(None)
    seats = [Seat("r", f"p{number}", "listener") for number in range(6)]
    await Joining(target).join_all(crowd, seats, 100)  # type: ignore[arg-type]
    at = [moment for _, moment in target.asked]
    assert all(moment - at[0] >= number * 0.01 - 0.003 for number, moment in enumerate(at))
