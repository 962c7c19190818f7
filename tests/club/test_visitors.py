"""Visitors: tokens, limits, and when somebody is forgotten; feeds that never grow."""

from __future__ import annotations

import asyncio

import pytest

from deploy.club.feed import Feed, Topic
from deploy.club.visitors import ABSENT_S, ClubError, Visitors


def test_a_token_is_secret_and_void_after_forgetting() -> None:
    visitors = Visitors()
    visitor = visitors.admit("lobby", "Visitor", moderator=False)
    assert visitor.token not in visitor.id
    assert visitors.by_token(visitor.token) is visitor
    visitors.forget(visitor)
    visitors.forget(visitor)
    with pytest.raises(ClubError) as caught:
        visitors.by_token(visitor.token)
    assert caught.value.code == "unknown_visitor"


def test_visitors_and_rooms_are_limited() -> None:
    visitors = Visitors(visitors_max=2, rooms_max=1)
    first = visitors.admit("one", "Visitor", moderator=False)
    with pytest.raises(ClubError, match="rooms"):
        visitors.admit("two", "Visitor", moderator=False)
    visitors.admit("one", "Visitor", moderator=False)
    with pytest.raises(ClubError, match="full"):
        visitors.admit("one", "Visitor", moderator=False)
    visitors.forget(first)
    visitors.admit("one", "Visitor", moderator=False)


def test_who_is_absent_for_long_is_forgotten_and_nobody_else() -> None:
    visitors = Visitors()
    absent, listening, connected = (visitors.admit("one", n, moderator=False) for n in "abc")
    listening.present = True
    connected.sockets = 1
    for visitor in (absent, listening, connected):
        visitors.note_absence(visitor, 100.0)
    assert visitors.sweep(100.0 + ABSENT_S - 1) == []
    assert visitors.sweep(100.0 + ABSENT_S) == [absent]
    assert len(visitors) == 2


def test_coming_back_stops_the_clock() -> None:
    visitors = Visitors()
    visitor = visitors.admit("one", "a", moderator=False)
    visitors.note_absence(visitor, 0.0)
    visitor.sockets = 1
    visitors.note_absence(visitor, 1.0)
    assert visitors.sweep(1_000.0) == []


async def test_a_feed_tells_the_latest_of_each_topic_in_order() -> None:
    feed = Feed()
    feed.post(Topic.SPEAKERS, lambda: "old")
    feed.post(Topic.SPEAKERS, lambda: "new")
    feed.post(Topic.DAEMON, lambda: "up")
    feed.post(Topic.LEFT, lambda: "never")
    feed.withdraw(Topic.LEFT)
    assert await feed.take() == ["up", "new"]


async def test_a_feed_waits_for_news() -> None:
    feed = Feed()
    taking = asyncio.ensure_future(feed.take())
    await asyncio.sleep(0)
    assert not taking.done()
    feed.post(Topic.ROOM, lambda: "room")
    assert await taking == ["room"]
