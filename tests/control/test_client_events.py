"""The SDK's event iterators against a live server: what they give, across whatever happens."""

from __future__ import annotations

import asyncio

import pytest

from control import Client, ConnectionLost, ControlError
from control import client as clients
from control.commands import Position
from control.events import Event, EventsGap, HandLowered, RoomClosed, ServerDraining
from control.server import ServerLimits
from control.streams import EventStream
from tests.control.conftest import Serve, Served
from tests.control.proxy import through_proxy
from tests.control.wire import PATIENCE_S


def lowered(who: str = "p") -> HandLowered:
    """An event that can be told from others."""
    return HandLowered(participant=who)


async def next_of(stream: EventStream) -> Event:
    """The next event, in time."""
    async with asyncio.timeout(PATIENCE_S):
        return await anext(stream)


async def test_events_are_iterated(served: Served) -> None:
    """Each iterator gets its rooms and what concerns the daemon."""
    async with Client(str(served.endpoint)) as client:
        async with client.events(rooms=["a"]) as one, client.events(rooms=["b"]) as two:
            for room in ("a", "b", "c", None):
                body = lowered() if room else ServerDraining(deadline_ms=1)
                served.server.publish(room, body)
            assert [(await next_of(one)).room for _ in range(2)] == ["a", None]
            assert [(await next_of(two)).room for _ in range(2)] == ["b", None]
            async with client.events() as everything:
                served.server.publish("c", lowered())
                assert (await next_of(everything)).body == lowered()
        await client.ping()
        served.server.publish("a", lowered())
    assert served.server.counters()["events_sent"] == 4


async def test_an_iterator_that_was_just_dropped_is_unsubscribed(served: Served) -> None:
    """`break` is enough; the next event that nobody wants makes the client ask for less."""
    async with Client(str(served.endpoint)) as client:
        served.server.publish("a", lowered())

        async def first() -> Event:
            async for event in client.events(rooms=["a"]):
                return event
            raise AssertionError

        task = asyncio.create_task(first())
        while not task.done():
            await client.ping()
            served.server.publish("a", lowered())
        before = served.server.counters()["events_sent"]
        for _ in range(5):
            served.server.publish("a", lowered())
            await client.ping()
            await asyncio.sleep(0)
        assert served.server.counters()["events_sent"] <= before + 2


async def test_iterators_go_on_after_a_reconnect(served: Served) -> None:
    """With what happened meanwhile, by rooms and types as before; nothing twice."""
    async with (
        through_proxy(served) as (proxy, client),
        client.events(rooms=["a"], types=["hand.*"]) as hands,
        client.events(types=["server.*"]) as daemon,
    ):
        for cut in range(5):
            served.server.publish("a", lowered(f"{cut}"))
            proxy.cut()
            served.server.publish("a", lowered(f"{cut} missed"))
            served.server.publish("a", RoomClosed(reason=""))
            served.server.publish(None, ServerDraining(deadline_ms=cut))
            got = [(await next_of(hands)).body for _ in range(2)]
            assert got == [lowered(f"{cut}"), lowered(f"{cut} missed")]
            assert (await next_of(daemon)).body == ServerDraining(deadline_ms=cut)


async def test_what_is_no_longer_held_after_a_reconnect_is_told_once_to_each(serve: Serve) -> None:
    """As the gap that it is, and the rest follows."""
    served = await serve(limits=ServerLimits(replay_events=2))
    async with through_proxy(served) as (proxy, client):
        async with client.events(rooms=["a"]) as one, client.events(types=["room.*"]) as two:
            served.server.publish("a", lowered())
            assert (await next_of(one)).seq == 1
            proxy.cut()
            for _ in range(5):
                served.server.publish("a", lowered())
            served.server.publish("a", RoomClosed(reason=""))
            gaps = [await next_of(stream) for stream in (one, two)]
            assert [(gap.seq, gap.body) for gap in gaps] == [(5, EventsGap(from_=2, to=5))] * 2
            assert [(await next_of(one)).seq for _ in range(2)] == [6, 7]
            assert (await next_of(two)).seq == 7


async def test_events_behind_a_position_can_be_had_by_the_next_process(served: Served) -> None:
    """Beside those who have them already, and from the same connection."""
    for number in range(4):
        served.server.publish("a", lowered(f"{number}"))
    async with Client(str(served.endpoint)) as client, client.events() as present:
        served.server.publish("b", lowered())
        assert (await next_of(present)).seq == 5
        since = Position(epoch="e1", seq=1)
        async with client.events(rooms=["a"], since=since) as past:
            assert [(await next_of(past)).seq for _ in range(3)] == [2, 3, 4]
            served.server.publish("a", lowered())
            assert (await next_of(past)).seq == (await next_of(present)).seq == 6
        with pytest.raises(ControlError, match="yet to come"):
            await anext(client.events(since=Position(epoch="e1", seq=99)))
        served.server.publish("a", lowered())
        assert (await next_of(present)).seq == 7
        lost = client.events(since=Position(epoch="e0", seq=99))
        assert (await next_of(lost)).body == EventsGap(from_=0, to=7)


async def test_a_quiet_subscription_resumes_from_the_last_ping(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So what others did in the meantime is no gap."""
    monkeypatch.setattr(clients, "PING_INTERVAL_S", 0.05)
    served = await serve(limits=ServerLimits(replay_events=3))
    async with through_proxy(served) as (proxy, client), client.events(rooms=["a"]) as stream:
        for _ in range(10):
            served.server.publish("busy", lowered())
        while client._follower.position != Position(epoch="e1", seq=10):
            await asyncio.sleep(0.01)
        proxy.cut()
        served.server.publish("a", lowered("after"))
        assert (await next_of(stream)).body == lowered("after")


async def test_an_iterator_can_be_opened_while_the_connection_breaks(served: Served) -> None:
    """It is opened on the next one."""
    async with through_proxy(served) as (proxy, client):
        for _ in range(3):
            proxy.cut()
            async with client.events(rooms=["a"]) as stream:
                served.server.publish("a", lowered())
                assert (await next_of(stream)).body == lowered()


async def test_another_epoch_is_a_gap_from_zero(serve: Serve) -> None:
    """The daemon has lost its state."""
    old, new = await serve(), await serve()
    new.server._feed.epoch = "e2"  # type: ignore[misc]
    async with through_proxy(old) as (proxy, client), client.events() as stream:
        proxy.target = new.endpoint
        proxy.cut()
        gap = await next_of(stream)
    assert (gap.epoch, gap.body) == ("e2", EventsGap(from_=0, to=0))


async def test_being_cut_off_for_reading_slowly_is_survived(serve: Serve) -> None:
    """The iterator goes on where it was: with what is held, behind what is not."""
    served = await serve(limits=ServerLimits(backlog_bytes=65_536))
    async with Client(str(served.endpoint)) as client, client.events() as stream:
        for _ in range(400):
            served.server.publish("a", lowered("p" * 60_000))
        reached = 0
        while reached < 400:
            event = await next_of(stream)
            first = event.body.from_ if isinstance(event.body, EventsGap) else event.seq
            assert first == reached + 1
            reached = event.seq
    assert served.server.counters()["cutoffs"] == 1


async def test_a_subscription_that_is_not_answered_in_time_takes_its_connection_along(
    served: Served,
) -> None:
    """A second one must not cross it on the way: what lies between them could get lost."""
    async with through_proxy(served, deadline_s=0.3) as (proxy, client):
        stream = client.events(rooms=["a"])
        proxy.stall()
        with pytest.raises((ConnectionLost, ControlError)):
            await next_of(stream)
        proxy.flow()
        await proxy.accepted(2)
        async with client.events(rooms=["a"]) as events:
            served.server.publish("a", lowered())
            assert (await next_of(events)).body == lowered()
