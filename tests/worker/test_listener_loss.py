"""Publishers are told what their listeners lose, if that is wanted."""

from __future__ import annotations

import pytest

from control.types import Role
from sfu.worker.listener_loss import listener_loss, percentile
from sfu.worker.peers import Peer, Peers
from tests.worker.harness import Bench


@pytest.mark.parametrize(
    ("ratios", "told"),
    [
        ([], None),
        ([0.2], 0.2),
        ([0.0, 0.5], 0.0),
        ([0.1] * 9 + [0.9], 0.1),
        ([0.0] * 8 + [0.3, 0.9], 0.3),
        ([number / 100 for number in range(101)], 0.9),
    ],
)
def test_one_bad_line_does_not_decide(ratios: list[float], told: float | None) -> None:
    assert percentile(ratios[::-1]) == told


class Crowd(Bench):
    """A speaker and listeners; `report` says what each line loses."""

    def __init__(self, *, is_on: bool = True) -> None:
        super().__init__(report_listener_loss=is_on)
        self.room()
        self.join("speaker", Role.SPEAKER)
        for number in range(3):
            self.join(f"p{number}")

    def report(self, name: str, ratio: float) -> None:
        """As its receiver reports would."""
        peer = self.peers.of("r", name)
        assert peer is not None
        peer.line._loss.ratio = ratio

    @property
    def peers(self) -> Peers:
        """The worker's connections."""
        return self.worker._registry.peers

    def loss(self) -> float | None:
        """What the speaker is told."""
        return listener_loss(self.peers, self.speaker.row)

    @property
    def speaker(self) -> Peer:
        """Who publishes."""
        speaker = self.peers.of("r", "speaker")
        assert speaker is not None
        return speaker


def test_those_who_have_reported_count_and_the_publisher_itself_does_not() -> None:
    crowd = Crowd()
    assert crowd.loss() is None
    crowd.report("speaker", 0.8)
    assert crowd.loss() is None
    crowd.report("p0", 0.25)
    assert crowd.loss() == 0.25
    crowd.report("p1", 0.5)
    crowd.report("p2", 0.125)
    assert crowd.loss() == 0.25


@pytest.mark.parametrize("is_on", [False, True])
def test_publishers_are_told_only_if_the_operator_wants_it(is_on: bool) -> None:
    crowd = Crowd(is_on=is_on)
    assert (crowd.speaker.transport.reporter._listener_loss is not None) is is_on


def test_nothing_is_told_to_who_has_left() -> None:
    crowd = Crowd()
    assert listener_loss(crowd.peers, 99) is None
