"""Replay over real connections: seamless, paced, and at nobody else's cost."""

from __future__ import annotations

import asyncio

from control.events import HandLowered
from control.replay import Replays
from control.server import ServerLimits
from tests.control.conftest import CLUB, KEYS, Serve, Served
from tests.control.wire import Peer, connected, request

BODY = HandLowered(participant="p")
LARGE = HandLowered(participant="p" * 60_000)
# More than the kernel's buffers, the transport's and the backlog of the tests take in together.
FLOOD = 400
START = {"epoch": "e1", "seq": 0}


async def seqs(peer: Peer, count: int) -> list[int]:
    """The numbers of the next events."""
    return [(await peer.event())["seq"] for _ in range(count)]


async def test_what_was_missed_comes_between_the_answer_and_what_happens_now(
    served: Served,
) -> None:
    """Everything once, in order."""
    for _ in range(3_000):
        served.server.publish("r", BODY)
    async with connected(served.endpoint) as peer:
        position = await peer.result("events.subscribe", since=START)
        assert position["seq"] == 3_000 and peer.events == []
        served.server.publish("r", BODY)
        assert await seqs(peer, 2_000) == list(range(1, 2_001))
        served.server.publish("r", BODY)
        assert await seqs(peer, 1_002) == list(range(2_001, 3_003))
    counters = served.server.counters()
    assert counters["replays"] == 1 and 3_000 < counters["events_replayed"] <= 3_002


async def test_a_long_replay_is_no_slow_reading(serve: Serve) -> None:
    """Far more than the backlog, to a reader that rests: the daemon waits for it."""
    limits = ServerLimits(backlog_bytes=200_000, replay_bytes=2 * FLOOD * 60_000)
    served = await serve(limits=limits)
    for _ in range(FLOOD):
        served.server.publish("r", LARGE)
    async with connected(served.endpoint) as slow, connected(served.endpoint) as other:
        await slow.result("events.subscribe", since=START)
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(200):
            await other.result("ping")
        assert served.server.counters()["events_replayed"] < FLOOD
        slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert await seqs(slow, FLOOD) == list(range(1, FLOOD + 1))
    assert served.server.counters().get("cutoffs", 0) == 0


async def test_one_that_is_overtaken_is_told_of_exactly_what_it_misses(serve: Serve) -> None:
    """Then it goes on with what is held."""
    served = await serve(limits=ServerLimits(replay_events=FLOOD, replay_bytes=2 * FLOOD * 60_000))
    for _ in range(FLOOD):
        served.server.publish("r", LARGE)
    async with connected(served.endpoint) as slow, connected(served.endpoint) as other:
        await slow.result("events.subscribe", since=START)
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(200):
            await other.result("ping")
        sent = served.server.counters()["events_replayed"]
        for _ in range(FLOOD + 100):
            served.server.publish("r", BODY)
        slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert await seqs(slow, sent) == list(range(1, sent + 1))
        gap = await slow.event()
        first_held = FLOOD + 101
        assert gap["p"] == {"from": sent + 1, "to": first_held - 1} and gap["m"] == "events.gap"
        assert await seqs(slow, FLOOD) == list(range(first_held, first_held + FLOOD))
        served.server.publish("r", BODY)
        assert (await slow.event())["seq"] == first_held + FLOOD


async def test_scopes_hold_in_the_past_too(serve: Serve) -> None:
    """Rooms that do not exist for a key did not exist for it."""
    served = await serve(*KEYS)
    for room in ("club/a", "bar", "club/b"):
        served.server.publish(room, BODY)
    async with connected(served.endpoint, CLUB) as peer:
        await peer.result("events.subscribe", since=START)
        served.server.publish("club/a", BODY)
        assert [(one["seq"], one["room"]) for one in [await peer.event() for _ in range(3)]] == [
            (1, "club/a"),
            (3, "club/b"),
            (4, "club/a"),
        ]


async def test_types_are_refused_with_their_place(served: Served) -> None:
    """What is neither a name nor a group."""
    async with connected(served.endpoint) as peer:
        refused = await peer.refusal("events.subscribe", types=["hand.raised", "*"])
        assert refused["detail"] == {"field": "types[1]"}
        await peer.result("events.subscribe", types=["hand.raised"])
        served.server.publish("r", BODY)
        assert (await peer.result("ping"))["position"]["seq"] == 1 and peer.events == []


async def test_a_ping_tells_up_to_where_everything_was_sent(served: Served) -> None:
    """So that a subscriber of a quiet room need not resume from its last event."""
    async with connected(served.endpoint) as peer:
        assert await peer.result("ping") == {}
        await peer.result("events.subscribe", rooms=["quiet"])
        for _ in range(5):
            served.server.publish("busy", BODY)
        assert await peer.result("ping") == {"position": {"epoch": "e1", "seq": 5}}


async def test_a_peer_that_leaves_under_way_leaves_nothing_behind(serve: Serve) -> None:
    """Its turns end with it."""
    served = await serve(limits=ServerLimits(replay_bytes=2 * FLOOD * 60_000))
    for _ in range(FLOOD):
        served.server.publish("r", LARGE)
    async with connected(served.endpoint) as peer:
        await peer.result("events.subscribe", since=START)
        peer.writer.transport.abort()
    while served.server.counters()["connections_open"]:
        await asyncio.sleep(0)
    assert not served.server._hub.replays._waiting and not served.server._feed._all


async def test_a_new_subscription_ends_a_replay_that_waits_for_its_turn(served: Served) -> None:
    """Whether it wants the past or not; there is one replay at most."""
    for _ in range(3):
        served.server.publish("r", BODY)
    async with connected(served.endpoint) as peer:
        peer.send(
            request(101, "events.subscribe", since=START),
            request(102, "events.subscribe"),
            request(103, "events.subscribe", since=START),
            request(104, "events.subscribe", since={"epoch": "e1", "seq": 2}),
            request(105, "ping"),
        )
        answers = [await peer.receive() for _ in range(5)]
        assert [answer["id"] for answer in answers] == [101, 102, 103, 104, 105]
        assert answers[-1]["p"]["position"]["seq"] == 2
        assert await seqs(peer, 1) == [3]
        assert (await peer.result("ping"))["position"]["seq"] == 3 and peer.events == []


class Walker:
    """Takes so many turns, and notes each."""

    def __init__(self, name: str, turns: int, notes: list[str]) -> None:
        self.name, self.turns, self.notes = name, turns, notes

    def replay(self) -> bool:
        """One slice."""
        self.notes.append(self.name)
        self.turns -= 1
        return self.turns > 0


async def test_replays_take_turns_one_in_each_turn_of_the_loop() -> None:
    """Adding twice gives no second place, and whoever leaves is not called."""
    notes: list[str] = []
    replays = Replays()
    one, two, gone = Walker("1", 3, notes), Walker("2", 2, notes), Walker("3", 9, notes)
    for walker in (one, two, one, gone):
        replays.add(walker)
    replays.discard(gone)
    for turns in range(1, 6):
        await asyncio.sleep(0)
        assert len(notes) == turns
    await asyncio.sleep(0)
    assert notes == ["1", "2", "1", "2", "1"]
    replays.add(gone)
    replays.discard(gone)
    await asyncio.sleep(0)
    assert "3" not in notes
