"""Nobody is sent the own voice, whatever becomes of its place: on the compiled forwarder."""

from __future__ import annotations

import pytest

from control.types import Role
from tests.stage.real import RealStage

VOICES = {"left": 20, "right": 20, "far": 20}


@pytest.fixture(params=[False, True], ids=["at once", "segmented"])
def stage(request: pytest.FixtureRequest) -> RealStage:
    """Two at one table and one elsewhere, all talking."""
    stage = RealStage()
    stage.room.set_segmented(request.param)
    stage.join("left", "speaker", group="table")
    stage.join("right", "speaker", group="table")
    stage.join("far", "speaker")
    stage.run(VOICES, 0.2)
    return stage


def heard_by(stage: RealStage, name: str, seconds: float = 0.4) -> set[str]:
    """Whom it heard while all talked, from the first packet on."""
    heard: set[str] = set()
    for _ in range(round(seconds / 0.02)):
        heard.update(stage.step(VOICES)[name])
    return heard


def test_a_table_hears_only_others(stage: RealStage) -> None:
    assert heard_by(stage, "left") == heard_by(stage, "right") == {"far"}
    assert heard_by(stage, "far") == {"left", "right"}


def test_promoted_and_demoted(stage: RealStage) -> None:
    for role in (Role.LISTENER, Role.SPEAKER, Role.LISTENER, Role.MODERATOR, Role.SPEAKER):
        stage.room.moderation.set_role("left", role, stage.now)
        assert heard_by(stage, "left") == {"far"}
        on_stage = {"left", "right"} if role.is_on_stage else {"right"}
        assert heard_by(stage, "far") == on_stage


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_replaced_while_it_talks(stage: RealStage, lines: int) -> None:
    """Not even what it said by the connection before: that may still wait for its tick."""
    for _ in range(3):
        stage.now += 0.02
        stage.say({"left": 20, "far": 20})
        for name, group in (("far", None), ("left", "table")):
            stage.leave(name)
            stage.join(name, "speaker", group=group, lines=lines)
        stage.say({"right": 20})
        own = {name: [h for h in stage.packets[name]] for name in ("left", "far")}
        assert not own["left"], "right is of its table and far has not spoken since"
        assert "far" not in heard_by(stage, "far")
        assert heard_by(stage, "left") <= {"far"}


def test_moved_to_another_room_and_back(stage: RealStage) -> None:
    side = stage.open_room("side")
    stage.move("left", side)
    assert heard_by(stage, "left") == set()
    assert heard_by(stage, "right") == {"far"}
    stage.move("far", side)
    assert heard_by(stage, "left") == {"far"}
    assert heard_by(stage, "far") == {"left"}
    stage.move("right", side)
    assert heard_by(stage, "right") == heard_by(stage, "left") == {"far"}
    for name in ("left", "far", "right"):
        stage.move(name, stage.room)
    assert heard_by(stage, "right") == heard_by(stage, "left") == {"far"}
    assert heard_by(stage, "far") == {"left", "right"}


def test_what_belongs_to_nobody_s_table_is_not_taken_for_it_after_a_move(stage: RealStage) -> None:
    """Rooms number their tables each for itself."""
    side = stage.open_room("side")
    stage.move("far", side)
    stage.move("left", side)
    assert heard_by(stage, "left") == {"far"}
    assert heard_by(stage, "far") == {"left"}


def test_always_brings_back_nothing_of_the_own_table(stage: RealStage) -> None:
    stage.ask("left", always=["left", "right"])
    assert heard_by(stage, "left") == {"far"}
    stage.ask("left", slots=1)
    assert heard_by(stage, "left") == {"far"}


def test_paused_and_resumed(stage: RealStage) -> None:
    stage.ask("left", paused=True)
    assert heard_by(stage, "left") == set()
    stage.ask("left", paused=False)
    assert heard_by(stage, "left") == {"far"}
