"""Reminders come once, in time, whoever sends them; rooms that nobody opened are called off."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from deploy.club.hall import reminders
from deploy.club.hall.attending import will_come
from deploy.club.hall.opening import open_scheduled
from deploy.club.hall.reminders import MISSED_AFTER, REMIND_BEFORE, run_due
from tests.club.hall.club import NOW, TOMORROW, Club

DUE = TOMORROW - REMIND_BEFORE
SECOND = timedelta(seconds=1)


async def run(club: Club, now: datetime) -> int:
    async with club.store.begin() as tx:
        return await run_due(tx, now)


async def test_guests_and_hosts_are_reminded_once_ten_minutes_before(club: Club) -> None:
    room_id = await club.plan("Red", scheduled_at=TOMORROW)
    other = await club.plan("Blue", scheduled_at=TOMORROW + timedelta(hours=1))
    await club.of("Green", room_id, will_come, NOW)
    await club.of("Green", other, will_come, NOW)
    assert await run(club, DUE - SECOND) == 0
    assert await club.told("Green") == []
    assert await run(club, DUE) == 2
    assert await run(club, DUE + SECOND) == 0
    assert await club.told("Green") == [("reminder", room_id)]
    assert await club.told("Red") == [("reminder", room_id)]
    assert await club.told("Blue") == []


async def test_who_says_it_late_is_reminded_still(club: Club) -> None:
    room_id = await club.plan("Red", scheduled_at=TOMORROW)
    await run(club, DUE)
    await club.of("Green", room_id, will_come, DUE + SECOND)
    assert await run(club, DUE + 2 * SECOND) == 1
    assert await club.told("Green") == [("reminder", room_id)]


async def test_an_open_room_needs_no_reminder(club: Club) -> None:
    room_id = await club.plan("Red", scheduled_at=TOMORROW)
    await club.of("Red", room_id, open_scheduled, DUE)
    assert await run(club, TOMORROW) == 0


async def test_several_processes_at_once_remind_once(club: Club) -> None:
    room_id = await club.plan("Red", scheduled_at=TOMORROW)
    await club.of("Green", room_id, will_come, NOW)
    done = await asyncio.gather(*(run(club, DUE) for _ in range(4)))
    assert sorted(done) == [0, 0, 0, 2]
    assert await club.told("Green") == [("reminder", room_id)]


async def test_many_reminders_are_spread_over_transactions(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminders, "REMINDERS_MAX", 3)
    room_id = await club.plan("Red", scheduled_at=TOMORROW)
    for name in ("Blue", "Green", "White"):
        await club.of(name, room_id, will_come, NOW)
    assert [await run(club, DUE) for _ in range(3)] == [3, 1, 0]
    for name in ("Red", "Blue", "Green", "White"):
        assert await club.told(name) == [("reminder", room_id)]


async def test_a_room_that_nobody_opened_is_called_off(club: Club) -> None:
    room_id = await club.plan("Red", scheduled_at=TOMORROW)
    await club.of("Green", room_id, will_come, NOW)
    await run(club, DUE)
    missed = TOMORROW + MISSED_AFTER
    assert await run(club, missed - SECOND) == 0
    assert (await club.room(room_id)).state == "scheduled"
    assert await run(club, missed) == 1
    assert await run(club, missed) == 0
    assert (await club.room(room_id)).state == "cancelled"
    assert await club.told("Green") == [("reminder", room_id), ("cancelled", room_id)]
    assert await club.told("Red") == [("reminder", room_id), ("cancelled", room_id)]


async def test_open_pages_are_told_at_once(club: Club) -> None:
    await club.plan("Red", scheduled_at=TOMORROW)
    heard: list[dict[str, Any]] = []
    with club.store.bus.listen({"notice"}) as listening:
        await run(club, DUE)
        _, payload = await asyncio.wait_for(anext(listening), 5)
        heard.append(payload)
    assert [each["kind"] for each in heard] == ["reminder"]
    assert heard[0]["to"] == [club.people["Red"].id]


async def test_who_fell_out_with_a_host_is_told_no_more(club: Club) -> None:
    room_id = await club.plan("Red", scheduled_at=TOMORROW)
    for name in ("Blue", "Green", "White"):
        await club.of(name, room_id, will_come, NOW)
    await club.block("Blue", "Red")
    await club.block("Red", "Green")
    await run(club, DUE)
    await club.of("Red", room_id, open_scheduled, TOMORROW)
    assert await club.told("White") == [("reminder", room_id), ("room_open", room_id)]
    assert await club.told("Blue") == []
    assert await club.told("Green") == []
