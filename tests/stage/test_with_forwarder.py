"""A room on the compiled forwarder, with real SRTP: who is heard by whom, packet by packet."""

from __future__ import annotations

from control.commands import RoomCreate
from control.types import Role
from sfu.stage import RoomSettings
from tests.stage.real import RealStage


def test_everybody_hears_the_others_from_the_first_packet() -> None:
    stage = RealStage()
    for name in ("a", "b"):
        stage.join(name, "speaker")
    stage.join("listener")
    assert stage.step({"a": 20, "b": 20}) == {"a": ["b"], "b": ["a"], "listener": ["a", "b"]}


def test_listener_who_sends_is_not_heard_until_called_up() -> None:
    stage = RealStage()
    stage.join("a")
    stage.join("b")
    assert stage.run({"a": 20}, 0.5)["b"] == []
    stage.room.moderation.set_role("a", Role.SPEAKER, stage.now)
    assert stage.step({"a": 20})["b"] == ["a"]
    stage.room.moderation.set_muted("a", True, stage.now)
    assert stage.run({"a": 20}, 0.5)["b"] == []
    stage.room.moderation.set_muted("a", False, stage.now)
    assert stage.step({"a": 20})["b"] == ["a"]
    stage.room.moderation.set_role("a", Role.LISTENER, stage.now)
    assert stage.run({"a": 20}, 0.5)["b"] == []


def test_moderator_preempts_the_weakest_within_60_ms() -> None:
    stage = RealStage()
    loudness = {"a": 20, "b": 30, "c": 20}
    for name in loudness:
        stage.join(name, "speaker", lines=0)
    stage.join("chair", "moderator", lines=0)
    stage.join("listener")
    assert stage.run(loudness, 0.6)["listener"] == ["a", "b", "c"]
    voices = loudness | {"chair": 25}
    assert stage.step(voices)["listener"] == ["a", "b", "c"]
    assert "chair" in stage.run(voices, 0.04)["listener"]
    assert stage.step(voices)["listener"] == ["a", "chair", "c"]


def test_fourth_equal_talker_gets_in_by_waiting() -> None:
    stage = RealStage()
    for name in ("a", "b", "c", "d"):
        stage.join(name, "speaker", lines=0)
    stage.join("listener")
    voices = {"a": 20, "b": 20, "c": 20, "d": 20}
    assert "d" not in stage.run(voices, 1.0)["listener"]
    assert "d" in stage.run(voices, 0.7)["listener"]


def test_echo_group_is_not_heard_by_itself() -> None:
    stage = RealStage()
    for name in ("left", "right"):
        stage.join(name, "speaker", group="table")
    stage.join("far", "speaker")
    heard = stage.run({"left": 20, "right": 20, "far": 20}, 0.1)
    assert heard == {"left": ["far"], "right": ["far"], "far": ["left", "right"]}


def test_two_lines_follow_the_talkers() -> None:
    stage = RealStage()
    for name in ("a", "b", "c"):
        stage.join(name, "speaker", lines=2)
    stage.join("listener", lines=2)
    assert stage.run({"a": 20, "b": 20}, 0.5)["listener"] == ["a", "b"]
    heard = stage.run({"a": 20, "b": 70, "c": 20}, 0.5)
    assert heard["listener"] == ["a", "c"]
    assert "c" in heard["a"]


def test_slots_shrink_and_grow_under_way() -> None:
    stage = RealStage()
    for name in ("a", "b", "c"):
        stage.join(name, "speaker", lines=0)
    stage.join("listener")
    voices = {"a": 20, "b": 20, "c": 20}
    assert stage.run(voices, 0.2)["listener"] == ["a", "b", "c"]
    stage.room.apply(RoomCreate(room="room", slots=1), stage.now)
    assert stage.step(voices)["listener"] == ["a"]
    stage.room.apply(RoomCreate(room="room", slots=3), stage.now)
    assert stage.step(voices)["listener"] == ["a", "b", "c"]


def test_nothing_is_left_of_a_closed_room() -> None:
    stage = RealStage()
    for name in ("a", "b", "c"):
        stage.join(name, "speaker", lines=2)
    stage.run({"a": 20, "b": 20}, 0.5)
    stage.leave("a")
    stage.run({"b": 20}, 0.1)
    for gone in stage.room.close("over", stage.now):
        stage.forwarder.remove_transport(stage.people.pop(gone.id).transport)
    sizes = stage.forwarder.sizes()
    assert set(sizes.values()) == {0}, sizes


def test_never_is_not_sent_one_packet_when_a_slot_changes_hands() -> None:
    stage = RealStage()
    for name in ("a", "b", "c"):
        stage.join(name, "speaker", lines=0)
    stage.join("chair", "moderator", lines=0)
    stage.join("listener")
    stage.join("other")
    stage.ask("listener", never=["chair"])
    loudness = {"a": 20, "b": 30, "c": 20}
    assert stage.run(loudness, 0.6)["listener"] == ["a", "b", "c"]
    for _ in range(50):
        heard = stage.step(loudness | {"chair": 15})
        assert "chair" not in heard["listener"]
    assert heard["listener"] == ["a", "c"]
    assert heard["other"] == ["a", "chair", "c"]


def test_what_is_held_for_a_tick_is_not_sent_to_whoever_subscribes_meanwhile() -> None:
    """The slot of somebody unwanted passes on while one of its packets waits for the others."""
    stage = RealStage(RoomSettings(slots=2))
    for name in ("unwanted", "slow", "next"):
        stage.join(name, "speaker", lines=0)
    stage.join("listener")
    stage.ask("listener", never=["unwanted"])
    stage.run({"unwanted": 20, "slow": 20}, 0.2)
    stage.room.set_segmented(True)
    assert stage.step({"unwanted": 20})["listener"] == []  # it waits for `slow`
    stage.room.moderation.set_muted("unwanted", True, stage.now)
    assert stage.say({"next": 20, "slow": 20})["listener"] == ["slow"]
    assert stage.room.holders == ["next", "slow"]
    assert stage.step({"next": 20, "slow": 20})["listener"] == ["next", "next", "slow"]


def test_a_pause_leaves_no_gap_in_the_numbers() -> None:
    stage = RealStage()
    stage.join("a", "speaker", lines=0)
    stage.join("listener", lines=1)
    stage.run({"a": 20}, 0.1)
    before = stage.packets["listener"][-1]
    stage.ask("listener", paused=True)
    silence = 0
    for _ in range(100):
        assert stage.step({"a": 20})["listener"] == []
        silence += len(stage.packets["listener"])
    assert 20 <= silence <= 25, "half a second, for the decoder"
    stage.ask("listener", paused=False)
    assert stage.step({"a": 20})["listener"] == ["a"]
    after = stage.packets["listener"][-1]
    assert after.sequence == before.sequence + silence + 1
    assert after.timestamp == before.timestamp + 101 * 960, "time went on"
