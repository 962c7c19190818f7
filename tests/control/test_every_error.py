"""Every error code and every limit that the protocol names, each brought about on a real server."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import control
import sfu.stage.roster
from control.auth import Key
from control.errors import ErrorCode
from control.idempotency import IdempotencyTable
from control.types import METADATA_BYTES_MAX
from tests.control.conftest import ADMIN, CLUB, READER
from tests.control.whole import Whole, whole
from tests.control.wire import Peer, connected, request
from tests.worker.harness import offer

Map = dict[str, Any]
OFFER = offer()


class Scene:
    """A server with room `club/r`, in which red speaks and blue listens; keys `ask` for it."""

    def __init__(self, server: Whole, peers: dict[str, Peer]) -> None:
        self.server = server
        self.admin, self.reader, self.club = peers["admin"], peers["reader"], peers["club"]

    async def join(self, name: str, role: str = "listener", **fields: Any) -> Map:
        """The response."""
        asked: Map = {"room": "club/r", "participant": name, "role": role, "offer": OFFER}
        return await self.admin.ask("participant.join", **(asked | fields))

    async def about_blue(self, method: str, **fields: Any) -> Map:
        """A command on the listener."""
        return await self.admin.ask(method, room="club/r", participant="blue", **fields)

    async def update(self, **fields: Any) -> None:
        """Other settings of the room."""
        await self.admin.result("room.update", room="club/r", **fields)

    async def stranger(self, *messages: Map, key: Key | None = None) -> list[Map]:
        """Answers to a connection that has said nothing before."""
        (endpoint,) = self.server.server.endpoints
        async with connected(endpoint, greet=False) as peer:
            answers = []
            for message in messages:
                peer.send(message)
                answers.append(await peer.receive())
            return answers


Produce = Callable[[Scene], Awaitable[Map]]


class Case(NamedTuple):
    """`produce` gives a response whose error has this code and this detail, among more."""

    code: str
    detail: Map
    produce: Produce
    limits: Map = {}


CASES: dict[str, Case] = {}


def case(code: ErrorCode, limits: Map | None = None, /, **detail: Any) -> Callable[[Produce], None]:
    """Put a way to an error into the table, under its function's name."""

    def note(produce: Produce) -> None:
        name = getattr(produce, "__name__", "")
        assert name not in CASES
        CASES[name] = Case(code.value, detail, produce, limits or {})

    return note


@case(ErrorCode.INVALID_ARGUMENT, field="slots")
async def a_value_out_of_range(scene: Scene) -> Map:
    return await scene.admin.ask("room.create", room="x", slots=7)


@case(ErrorCode.INVALID_ARGUMENT, field="colour")
async def an_unknown_field(scene: Scene) -> Map:
    return await scene.admin.ask("room.create", room="x", colour="red")


@case(ErrorCode.INVALID_ARGUMENT, field="participants[1].role")
async def a_wrong_type_deep_inside(scene: Scene) -> Map:
    lines = [{"participant": "red", "role": "speaker"}, {"participant": "blue", "role": 1}]
    return await scene.admin.ask("room.sync", room="club/r", participants=lines)


@case(ErrorCode.INVALID_ARGUMENT, field="participants[1].participant")
async def somebody_listed_twice(scene: Scene) -> Map:
    lines = [{"participant": "red", "role": "speaker"}] * 2
    return await scene.admin.ask("room.sync", room="club/r", participants=lines)


@case(ErrorCode.INVALID_ARGUMENT, field="offer")
async def an_unusable_offer(scene: Scene) -> Map:
    return await scene.join("white", offer="v=1")


@case(ErrorCode.INVALID_ARGUMENT, field="offer")
async def an_ice_restart_of_another_session(scene: Scene) -> Map:
    return await scene.about_blue("participant.restart_ice", offer=offer(lines=1))


@case(ErrorCode.INVALID_ARGUMENT, field="to_room")
async def a_move_to_where_one_is(scene: Scene) -> Map:
    return await scene.about_blue("participant.move", to_room="club/r")


@case(ErrorCode.INVALID_ARGUMENT, field="metadata")
async def too_much_metadata(scene: Scene) -> Map:
    return await scene.admin.ask("room.create", room="x", metadata={"a": "x" * METADATA_BYTES_MAX})


@case(ErrorCode.INVALID_ARGUMENT, field="since.seq")
async def a_position_yet_to_come(scene: Scene) -> Map:
    return await scene.admin.ask("events.subscribe", since={"epoch": "e", "seq": 10**9})


@case(ErrorCode.INVALID_ARGUMENT, field="deadline_ms")
async def an_envelope_with_a_wrong_field(scene: Scene) -> Map:
    return await scene.admin.ask_with({"deadline_ms": -1}, "room.list")


@case(ErrorCode.UNAUTHENTICATED)
async def a_command_before_hello(scene: Scene) -> Map:
    return (await scene.stranger(request(1, "room.list")))[0]


@case(ErrorCode.UNAUTHENTICATED)
async def a_wrong_mac(scene: Scene) -> Map:
    hello = request(1, "hello", versions=[1], client="t")
    auth = request(2, "auth", key_id=ADMIN.key_id, mac=b"x" * 32)
    return (await scene.stranger(hello, auth))[1]


@case(ErrorCode.PERMISSION_DENIED)
async def a_change_with_a_reading_key(scene: Scene) -> Map:
    return await scene.reader.ask("room.close", room="club/r")


@case(ErrorCode.PERMISSION_DENIED)
async def a_command_on_the_server_with_a_key_of_rooms(scene: Scene) -> Map:
    return await scene.club.ask("server.info")


@case(ErrorCode.PERMISSION_DENIED)
async def a_banned_participant(scene: Scene) -> Map:
    await scene.about_blue("participant.remove", ban_s=60)
    response = await scene.join("blue")
    assert 0 < response["err"]["retry_after_ms"] <= 60_000
    return response


@case(ErrorCode.NOT_FOUND, what="room")
async def a_room_that_is_not_there(scene: Scene) -> Map:
    return await scene.admin.ask("room.get", room="hall")


@case(ErrorCode.NOT_FOUND, what="room")
async def a_room_that_is_none_of_this_key_s(scene: Scene) -> Map:
    await scene.admin.result("room.create", room="hall")
    return await scene.club.ask("room.get", room="hall")


@case(ErrorCode.NOT_FOUND, what="participant")
async def a_participant_who_is_not_there(scene: Scene) -> Map:
    return await scene.admin.ask("participant.get", room="club/r", participant="white")


@case(ErrorCode.ALREADY_EXISTS, what="participant")
async def a_second_join_that_must_not_replace(scene: Scene) -> Map:
    return await scene.join("blue", on_duplicate="reject")


@case(ErrorCode.ALREADY_EXISTS, what="participant")
async def a_move_onto_somebody_of_the_same_id(scene: Scene) -> Map:
    await scene.admin.result("room.create", room="club/other")
    await scene.join("blue", room="club/other")
    return await scene.about_blue("participant.move", to_room="club/other")


@case(ErrorCode.CONFLICT, field="key")
async def a_key_of_another_command(scene: Scene) -> Map:
    await scene.admin.ask_with({"key": "k"}, "room.lock", room="club/r")
    return await scene.admin.ask_with({"key": "k"}, "room.unlock", room="club/r")


@case(ErrorCode.CONFLICT, version=1)
async def a_room_of_another_version(scene: Scene) -> Map:
    return await scene.admin.ask("room.update", room="club/r", slots=1, if_version=9)


@case(ErrorCode.CONFLICT, generation=1)
async def a_participant_of_another_generation(scene: Scene) -> Map:
    return await scene.about_blue("participant.update", name="Blue", if_generation=2)


@case(ErrorCode.FAILED_PRECONDITION)
async def a_locked_room(scene: Scene) -> Map:
    await scene.admin.result("room.lock", room="club/r")
    return await scene.join("white")


@case(ErrorCode.FAILED_PRECONDITION)
async def a_room_without_hands(scene: Scene) -> Map:
    await scene.update(hand_policy="closed")
    return await scene.about_blue("hand.raise")


@case(ErrorCode.FAILED_PRECONDITION)
async def a_locked_mute(scene: Scene) -> Map:
    await scene.about_blue("track.mute", lock=True)
    return await scene.about_blue("track.unmute")


@case(ErrorCode.FAILED_PRECONDITION)
async def an_invitation_that_nobody_gave(scene: Scene) -> Map:
    return await scene.about_blue("stage.accept")


@case(ErrorCode.FAILED_PRECONDITION)
async def hello_twice(scene: Scene) -> Map:
    return await scene.admin.ask("hello", versions=[1], client="t")


@case(ErrorCode.RESOURCE_EXHAUSTED, limit="max_participants")
async def a_full_room(scene: Scene) -> Map:
    await scene.update(max_participants=2)
    return await scene.join("white")


@case(ErrorCode.RESOURCE_EXHAUSTED, limit="max_speakers")
async def a_full_stage(scene: Scene) -> Map:
    await scene.update(max_speakers=1)
    return await scene.about_blue("participant.set_role", role="speaker")


@case(ErrorCode.RESOURCE_EXHAUSTED, {"max_rooms": 1}, limit="rooms")
async def a_server_full_of_rooms(scene: Scene) -> Map:
    return await scene.admin.ask("room.create", room="x")


@case(ErrorCode.RESOURCE_EXHAUSTED, {"max_participants": 2}, limit="participants")
async def a_server_full_of_people(scene: Scene) -> Map:
    return await scene.join("white")


@case(ErrorCode.RESOURCE_EXHAUSTED, {"max_speakers": 1}, limit="speakers")
async def a_server_full_of_speakers(scene: Scene) -> Map:
    return await scene.about_blue("participant.set_role", role="speaker")


@case(ErrorCode.RESOURCE_EXHAUSTED, {"max_joins_per_s": 2}, limit="joins_per_s")
async def a_rush_of_joins(scene: Scene) -> Map:
    return await scene.join("white")


@case(ErrorCode.RESOURCE_EXHAUSTED, limit="load")
async def a_busy_server(scene: Scene) -> Map:
    for _ in range(20):
        scene.server.cycle.observe_load(1.0)
    return await scene.join("white")


@case(ErrorCode.RESOURCE_EXHAUSTED, limit="participant_numbers")
async def a_room_that_has_used_up_its_numbers(scene: Scene) -> Map:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sfu.stage.roster, "NUMBER_MAX", 2)
        return await scene.join("white")


@case(ErrorCode.RESOURCE_EXHAUSTED, limit="frame_bytes")
async def an_answer_larger_than_a_frame(scene: Scene) -> Map:
    metadata = {"a": "x" * (METADATA_BYTES_MAX - 16)}
    for number in range(65):
        assert (await scene.join(f"guest-{number}", metadata=metadata))["ok"]
    return await scene.admin.ask("room.snapshot", room="club/r")


@case(ErrorCode.RESOURCE_EXHAUSTED, limit="idempotency_keys")
async def too_many_keys_at_once(scene: Scene) -> Map:
    scene.server.server._dispatcher._keyed = IdempotencyTable(running_max=1)
    asked = [request(number, "room.list") for number in (1_001, 1_002)]
    scene.admin.send(*({**one, "key": f"k{one['id']}"} for one in asked))
    responses = [await scene.admin.receive() for _ in asked]
    return next(one for one in responses if one["id"] == 1_002)


@case(ErrorCode.UNAVAILABLE)
async def a_draining_server(scene: Scene) -> Map:
    await scene.admin.result("server.drain", deadline_s=60)
    return await scene.join("white")


@case(ErrorCode.DEADLINE_EXCEEDED)
async def a_deadline_that_has_passed(scene: Scene) -> Map:
    return await scene.admin.ask_with({"deadline_ms": 0}, "room.list")


@case(ErrorCode.UNIMPLEMENTED)
async def an_unknown_command(scene: Scene) -> Map:
    return await scene.admin.ask("room.paint", room="club/r")


@case(ErrorCode.UNIMPLEMENTED, versions=[1])
async def no_common_version(scene: Scene) -> Map:
    return (await scene.stranger(request(1, "hello", versions=[2], client="t")))[0]


@case(ErrorCode.INTERNAL)
async def a_fault_of_the_daemon(scene: Scene) -> Map:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene.server.worker, "execute", fail)
        return await scene.admin.ask("room.list")


@pytest.fixture
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    limits: Map = request.param
    async with whole(**limits) as server:
        (endpoint,) = server.server.endpoints
        async with (
            connected(endpoint, ADMIN) as admin,
            connected(endpoint, READER) as reader,
            connected(endpoint, CLUB) as club,
        ):
            one = Scene(server, {"admin": admin, "reader": reader, "club": club})
            await admin.result("room.create", room="club/r")
            for name, role in (("red", "speaker"), ("blue", "listener")):
                assert (await one.join(name, role))["ok"]
            yield one


@pytest.mark.parametrize(
    ("scene", "name"),
    [pytest.param(one.limits, name, id=name) for name, one in CASES.items()],
    indirect=["scene"],
)
async def test_it_is_answered_as_the_page_says_and_the_session_goes_on(
    scene: Scene, name: str
) -> None:
    """Code and detail; a limit also says when to come again, unless waiting does not help."""
    wanted = CASES[name]
    response = await wanted.produce(scene)
    assert not response["ok"]
    error = response["err"]
    detail = error.get("detail", {})
    assert (error["code"], {k: detail.get(k) for k in wanted.detail}) == (
        wanted.code,
        wanted.detail,
    )
    assert error["message"]
    if wanted.code == ErrorCode.RESOURCE_EXHAUSTED:
        has_end = detail["limit"] not in ("participant_numbers", "frame_bytes")
        assert (error.get("retry_after_ms", 0) > 0) == has_end
    assert (await scene.admin.ask("ping"))["ok"]


def test_every_code_is_in_the_table() -> None:
    """Of the protocol's closed set."""
    assert {one.code for one in CASES.values()} == {code.value for code in ErrorCode}


def test_every_limit_that_the_page_names_is_in_the_table() -> None:
    """And no other."""
    page = (Path(control.__file__).parent / "PROTOCOL.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| `resource_exhausted` \|.*\|.*`limit`(.*)\|$", page, re.MULTILINE)
    named = set(re.findall(r"`([a-z_]+)`", row)) - {"retry_after_ms", "session.closed"}
    assert named == {one.detail["limit"] for one in CASES.values() if "limit" in one.detail}
