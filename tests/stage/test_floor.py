"""The floor: what it tells of those who may be heard is true after everything that changes it."""

from __future__ import annotations

import pytest

from control.types import Role
from sfu.stage import Participant
from sfu.stage.floor import Floor
from tests.stage.fakes import FakeForwarder

NOW = 10.0


class Scene:
    """A floor of two slots; red holds the first of them, white none. All was observed once."""

    def __init__(self) -> None:
        self.forwarder = FakeForwarder()
        self.floor = Floor(self.forwarder.as_forwarder(), 2)
        self.people = {name: self._person(name) for name in ("red", "white", "blue")}
        for name in ("red", "white"):
            self.floor.admit(self.people[name])
        self.speaks("red")
        self.seen()

    def _person(self, name: str) -> Participant:
        person = Participant(
            id=name, number=1, generation=1, echo_group=1, role=Role.SPEAKER, joined_at_ms=0
        )
        person.source = self.forwarder.new_source()
        return person

    def speaks(self, name: str, level: int = 20) -> None:
        source = self.people[name].source
        if self.forwarder.speak(source, level, NOW) is not None:
            self.floor.challenge(source, -float(level), NOW)

    def seen(self) -> dict[str, int | None]:
        """Who is observed, and which slot each holds."""
        return {one.participant: one.slot for one in self.floor.observe(NOW)}


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_newcomer_is_observed_from_its_admission_on(scene: Scene) -> None:
    scene.floor.admit(scene.people["blue"])
    assert scene.seen() == {"red": 0, "white": None, "blue": None}


def test_whoever_was_dismissed_is_observed_no_more(scene: Scene) -> None:
    scene.floor.dismiss(scene.people["red"], NOW)
    assert scene.seen() == {"white": None}
    scene.floor.dismiss(scene.people["white"], NOW)
    assert scene.seen() == {}


def test_a_slot_that_was_won_is_observed_at_once(scene: Scene) -> None:
    scene.speaks("white")
    assert scene.seen() == {"red": 0, "white": 1}


def test_at_rest_nobody_is_observed_with_a_slot(scene: Scene) -> None:
    scene.floor.rest(NOW)
    assert scene.seen() == {"red": None, "white": None}


def test_whoever_lost_its_slot_by_shrinking_is_observed_without(scene: Scene) -> None:
    scene.speaks("white")
    scene.seen()
    scene.floor.resize(1)
    assert scene.seen() == {"red": 0, "white": None}


def test_levels_are_those_of_the_moment(scene: Scene) -> None:
    """However often nothing but levels has changed."""
    for level in (20, 60, 30):
        scene.speaks("red", level)
        levels = {one.participant: one.level.instant for one in scene.floor.observe(NOW)}
        assert levels == {"red": level, "white": 127}
