"""Commands and events through a server: order, deadlines, keys, bugs, snapshots, subscriptions."""

from __future__ import annotations

import asyncio

import msgspec

from control.commands import AnyCommand, RoomCreate, RoomGet
from control.errors import ControlError
from control.events import HandLowered, ServerDraining
from control.server import Server, ServerLimits
from tests.control.conftest import ADMIN, CLUB, KEYS, READER, Serve, Served
from tests.control.wire import connected, request

LOWERED = HandLowered(participant="p")


async def test_a_bug_in_a_handler_is_internal_and_goes_no_further(served: Served) -> None:
    """It is logged with its traceback; the connection and others stay."""
    served.daemon.raises["room.get"] = ZeroDivisionError("secret")
    async with connected(served.endpoint) as peer:
        error = await peer.refusal("room.get", room="x")
        assert error["code"] == "internal" and "secret" not in error["message"]
        await peer.result("ping")
    ((event, fields),) = served.log
    assert event == "control_handler_failed" and fields["method"] == "room.get"
    assert isinstance(fields["exc_info"], ZeroDivisionError)
    assert served.server.counters()["bugs"] == 1


async def test_a_handler_may_fail_in_any_manner(served: Served) -> None:
    """Raise at once, give an error as a value, give something else, or be cancelled."""
    answers: list[object] = []

    class Odd:
        def submit(self, command: AnyCommand) -> asyncio.Future[object]:
            if not answers:
                raise ControlError("unavailable", "not now")
            future = asyncio.get_running_loop().create_future()
            answer = answers.pop()
            if answer is None:
                future.cancel()
            else:
                future.set_result(answer)
            return future

    server = Server(Odd(), epoch="e", log=lambda event, /, **fields: None)
    endpoint = await server.start("127.0.0.1:0")
    async with server, connected(endpoint) as peer:
        codes = [(await peer.refusal("server.stats"))["code"]]
        for answer in (ControlError("conflict", "x"), "something else", None):
            answers.append(answer)
            codes.append((await peer.refusal("server.stats"))["code"])
    assert codes == ["unavailable", "conflict", "internal", "unavailable"]


async def test_pipelined_commands_take_effect_in_order(served: Served) -> None:
    """Also across turns, and though the first of them is answered last."""
    gate = served.daemon.hold("slow")
    async with connected(served.endpoint) as peer:
        names = ["slow", *(f"r{number}" for number in range(100))]
        peer.send(*(request(index, "room.create", room=name) for index, name in enumerate(names)))
        answered = [(await peer.receive())["id"] for _ in range(100)]
        gate.set_result(None)
        answered.append((await peer.receive())["id"])
    assert [command.room for command in served.daemon.done] == names  # type: ignore[attr-defined]
    assert sorted(answered) == list(range(101)) and answered[-1] == 0


async def test_more_commands_than_may_be_in_flight_wait_for_their_turn(serve: Serve) -> None:
    """The rest is not read; nothing is refused or lost."""
    served = await serve(limits=ServerLimits(in_flight=4))
    gate = served.daemon.hold("slow")
    async with connected(served.endpoint) as peer, connected(served.endpoint) as other:
        peer.send(*(request(number, "room.create", room="slow") for number in range(10)))
        while len(served.daemon.done) < 4:
            await other.result("ping")
        for _ in range(3):
            await other.result("ping")
        assert len(served.daemon.done) == 4
        gate.set_result(None)
        assert [(await peer.receive())["id"] for _ in range(10)] == list(range(10))


async def test_a_deadline_is_kept(served: Served) -> None:
    """The answer says that it may yet take effect, and it does."""
    gate = served.daemon.hold("slow")
    async with connected(served.endpoint) as peer:
        late = await peer.ask_with({"deadline_ms": 20}, "room.create", room="slow")
        assert late["err"]["code"] == "deadline_exceeded"
        never = await peer.ask_with({"deadline_ms": 0}, "room.create", room="never")
        assert never["err"]["code"] == "deadline_exceeded"
        in_time = await peer.ask_with({"deadline_ms": 2**40}, "room.create", room="quick")
        assert in_time["ok"]
        gate.set_result(None)
        await peer.result("ping")
    assert set(served.daemon.rooms) == {"slow", "quick"}


async def test_a_key_runs_a_command_once(served: Served) -> None:
    """Again, elsewhere, while it runs, and after its deadline: one effect, one answer."""
    gate = served.daemon.hold("slow")
    async with connected(served.endpoint) as one, connected(served.endpoint) as two:
        keyed = {"key": "k1", "deadline_ms": 5}
        late = await one.ask_with(keyed, "room.create", room="slow")
        assert late["err"]["code"] == "deadline_exceeded"
        for peer in (one, two):
            peer.send({**request(9, "room.create", room="slow"), "key": "k1"})
        await one.result("ping")
        await two.result("ping")
        gate.set_result(None)
        first, second = await one.receive(), await two.receive()
        again = await two.ask_with({"key": "k1"}, "room.create", room="slow")
    assert first == second and first["ok"] and again["p"] == first["p"]
    assert len(served.daemon.done) == 1


async def test_a_key_names_one_command(served: Served) -> None:
    """Another one under it is a conflict and is not run."""
    async with connected(served.endpoint) as peer:
        await peer.ask_with({"key": "k"}, "room.create", room="a")
        other = await peer.ask_with({"key": "k"}, "room.create", room="b")
    assert other["err"]["code"] == "conflict" and len(served.daemon.done) == 1


async def test_refusals_are_kept_under_a_key_but_not_passing_ones(served: Served) -> None:
    """`not_found` is an answer; `unavailable` asks for another try."""
    async with connected(served.endpoint) as peer:
        for _ in range(2):
            gone = await peer.ask_with({"key": "a"}, "room.get", room="x")
            assert gone["err"]["code"] == "not_found"
        assert len(served.daemon.done) == 1
        served.daemon.raises["room.get"] = ControlError("unavailable", "not now")
        for _ in range(2):
            assert not (await peer.ask_with({"key": "b"}, "room.get", room="x"))["ok"]
    assert len(served.daemon.done) == 3


async def test_keys_of_different_backends_do_not_meet(serve: Serve) -> None:
    """Nobody gets an answer that was made for another's scopes."""
    served = await serve(*KEYS)
    async with connected(served.endpoint, ADMIN) as admin, connected(served.endpoint, CLUB) as club:
        await admin.ask_with({"key": "1"}, "room.create", room="other")
        shown = await admin.ask_with({"key": "2"}, "room.list")
        hidden = await club.ask_with({"key": "2"}, "room.list")
    assert len(shown["p"]["rooms"]) == 1 and hidden["p"]["rooms"] == []


async def test_losing_the_connection_does_not_undo_a_command(served: Served) -> None:
    """It goes on, and its answer is there for the same key."""
    gate = served.daemon.hold("slow")
    async with connected(served.endpoint) as peer, connected(served.endpoint) as other:
        peer.send({**request(1, "room.create", room="slow"), "key": "k"})
        while not served.daemon.done:
            await other.result("ping")
        await peer.close()
        gate.set_result(None)
        answer = await other.ask_with({"key": "k"}, "room.create", room="slow")
    assert answer["ok"] and len(served.daemon.done) == 1


async def test_events_reach_who_subscribed(serve: Serve) -> None:
    """Numbered for all alike, filtered by rooms and by scope."""
    served = await serve(*KEYS)
    publish = served.server.publish
    async with connected(served.endpoint, ADMIN) as all_, connected(served.endpoint, CLUB) as club:
        async with connected(served.endpoint, READER) as one:
            publish("club/1", LOWERED)
            for peer in (all_, club):
                assert await peer.result("events.subscribe") == {"epoch": "e1", "seq": 1}
            await one.result("events.subscribe", rooms=["other"])
            publish("other", LOWERED)
            publish("club/1", LOWERED)
            publish(None, ServerDraining(deadline_ms=9))
            seen = [[(await peer.event())["seq"] for _ in range(2)] for peer in (club, one)]
            first = await all_.event()
    assert seen == [[3, 4], [2, 4]]
    assert first == {
        "t": "evt",
        "epoch": "e1",
        "seq": 2,
        "at": 1_700_000_000_000,
        "m": "hand.lowered",
        "room": "other",
        "p": {"participant": "p"},
    }


async def test_a_missed_position_that_is_not_held_is_answered_with_a_gap(serve: Serve) -> None:
    """One event, after the response, for this connection alone."""
    served = await serve(limits=ServerLimits(replay_events=0))
    async with connected(served.endpoint) as peer, connected(served.endpoint) as other:
        await other.result("events.subscribe")
        for _ in range(3):
            served.server.publish("r", LOWERED)
        position = await peer.result("events.subscribe", since={"epoch": "e1", "seq": 1})
        gap = await peer.event()
        assert position == {"epoch": "e1", "seq": 3}
        assert (gap["m"], gap["seq"], gap["p"]) == ("events.gap", 3, {"from": 2, "to": 3})
        await peer.result("events.subscribe", since={"epoch": "e1", "seq": 3})
        await peer.result("ping")
        assert peer.events == []
        future = await peer.refusal("events.subscribe", since={"epoch": "e1", "seq": 4})
        assert future["detail"] == {"field": "since.seq"}
        assert [(await other.event())["seq"] for _ in range(3)] == [1, 2, 3]


async def test_a_snapshot_carries_the_position_from_before_it(served: Served) -> None:
    """So that no event that it lacks is missed, though it was slow to come."""
    gate = served.daemon.hold("r")
    async with connected(served.endpoint) as peer:
        served.server.publish("r", LOWERED)
        peer.send(request(90, "room.create", room="r"), request(91, "room.snapshot", room="r"))
        await peer.result("ping")
        served.server.publish("r", LOWERED)
        gate.set_result(None)
        assert (await peer.receive())["id"] == 90
        snapshot = (await peer.receive())["p"]
    assert (snapshot["epoch"], snapshot["seq"]) == ("e1", 1)


async def test_an_answer_larger_than_a_frame_is_refused(served: Served) -> None:
    """The limit is named, and the connection stays."""
    async with connected(served.endpoint) as peer:
        await peer.result("room.create", room="x")
        big = msgspec.structs.replace(served.daemon.rooms["x"], metadata={"a": "x" * 1_100_000})
        served.daemon.rooms["x"] = big
        error = await peer.refusal("room.get", room="x")
        assert (error["code"], error["detail"]) == ("resource_exhausted", {"limit": "frame_bytes"})
        await peer.result("ping")


async def test_rooms_do_not_wait_for_each_other(served: Served) -> None:
    """One connection, one room held: another room is answered."""
    gate = served.daemon.hold("slow")
    async with connected(served.endpoint) as peer:
        peer.send(request(1, "room.create", room="slow"))
        await peer.result("room.create", room="quick")
        gate.set_result(None)
    assert isinstance(served.daemon.done[1], RoomCreate | RoomGet)
