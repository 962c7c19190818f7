"""Every page of the club with something on it: for those who look at pages, axe and people."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw
from playwright.async_api import expect

from deploy.club.door import invitations, numbers
from deploy.club.hall import opening
from deploy.club.hall.plans import Plan
from deploy.club.people import follows, moderation, notices, portraits, profiles
from deploy.club.store import Attendance, Member, Talk
from deploy.club.web.serving import Club
from tests.club.founding import Founded, Founder, phone_of
from tests.interop.club_caller import Caller
from tests.interop.club_process import club_here, settings_for
from tests.interop.club_tab import WAIT_MS, Tab
from tests.interop.daemon import Daemon

COLOURS = ("Red", "Blue", "Green", "Orange", "Violet", "Grey", "Cyan", "Amber")
HZ = 440
# Beside those with names, so that lists are long enough to be looked at.
LISTENERS = 6


class Sight(NamedTuple):
    """One page: what to call it, whose browser, and where. `{room}` and so on are filled in."""

    name: str
    who: str | None
    path: str
    status: int = 200


SIGHTS = (
    Sight("entrance", None, "/"),
    Sight("sign-in", None, "/sign-in"),
    Sight("code", None, "/sign-in/code"),
    Sight("invitation", None, "/i/{invitation}"),
    Sight("not-found", None, "/nowhere", 404),
    Sight("welcome", "newcomer", "/welcome"),
    Sight("waiting", "waiting", "/waiting"),
    Sight("hall", "Blue", "/hall"),
    Sight("upcoming", "Blue", "/upcoming"),
    Sight("new-room", "Red", "/rooms/new"),
    Sight("planned-host", "Red", "/rooms/{soon}"),
    Sight("planned-guest", "Blue", "/rooms/{planned}"),
    Sight("over", "Blue", "/rooms/{over}"),
    Sight("log", "Red", "/rooms/{over}/log"),
    Sight("profile", "Blue", "/people/{Green}"),
    Sight("chain", "Blue", "/people/{Green}/chain"),
    Sight("report", "Blue", "/people/{Grey}/report"),
    Sight("me", "Blue", "/me"),
    Sight("delete", "Blue", "/me/delete"),
    Sight("notices", "Blue", "/notices"),
    Sight("invitations", "Blue", "/invitations"),
    Sight("door", "Red", "/door"),
    Sight("numbers", "Red", "/door/numbers"),
    Sight("moderation", "Red", "/moderation"),
    Sight("room", "Blue", "/rooms/{live}"),
    Sight("room-host", "Red", "/rooms/{live}"),
)
LIVE = frozenset({"room", "room-host"})


@dataclass
class Town:
    """A club with people, rooms and news."""

    club: Club
    people: dict[str, Founded]
    names: dict[str, str]
    codes: int = 0

    @property
    def base_url(self) -> str:
        """Where it is."""
        return self.club.settings.base_url

    async def show(self, sight: Sight, tab: Tab) -> None:
        """Bring a tab to a page, as far as it is worth looking at."""
        path = sight.path.format(**self.names)
        if sight.name == "code":
            await tab.go("/sign-in")
            # A number gets no second code within a minute.
            self.codes += 1
            await tab.fill("phone", phone_of(7_000_000 + self.codes))
            await tab.click("send")
            await tab.page.wait_for_url(f"**{path}")
        elif sight.name in LIVE:
            await tab.enter(path)
            await expect(tab.hook("stage")).to_contain_text("Orange", timeout=WAIT_MS)
            await expect(tab.hook("quality")).not_to_be_empty(timeout=WAIT_MS)
        else:
            assert await tab.go(path) == sight.status, sight.name


@asynccontextmanager
async def town(folder: Path, daemon: Daemon) -> AsyncIterator[Town]:
    """The club of all sights. In its live room Orange speaks, and two hands are up."""
    settings = settings_for(f"sqlite+aiosqlite:///{folder / 'sights.sqlite'}")
    async with AsyncExitStack() as stack:
        club = await stack.enter_async_context(club_here(settings, daemon))
        founder = Founder(club.store, settings)
        people = await _people(founder)
        names = await _rooms(founder, people) | await _news(club, founder, people)
        names |= {name: person.id for name, person in people.items()}
        await _fill(stack, settings.base_url, people, names["live"])
        yield Town(club, people, names)


async def _people(founder: Founder) -> dict[str, Founded]:
    people: dict[str, Founded] = {}
    inviter: str | None = None
    for name in COLOURS:
        person = people[name] = await founder.person(
            name,
            is_host=name == "Red",
            invited_by=inviter,
            interests=("music", "cooking", "books"),
            bio=f"{name} bakes bread at night and listens to long records.\nMostly quiet.",
        )
        inviter = person.id
        async with founder.store.begin() as tx:
            if name not in ("Grey", "Amber"):
                await profiles.change_picture(tx, person.id, _picture(name), founder.now)
    for number in range(1, LISTENERS + 1):
        people[f"guest {number}"] = await founder.person(f"Guest {number}")
    now = founder.now
    for hours, name in ((30, "waiting"), (9, "second in line"), (1, "third in line")):
        founder.now = now - timedelta(hours=hours)
        people[name] = await founder.person(name.capitalize(), standing="waiting")
    founder.now = now
    people["newcomer"] = await founder.newcomer()
    return people


def _picture(colour: str) -> bytes:
    """A face: a disc on a ground of the person's colour."""
    image = Image.new("RGB", (320, 320), colour.lower() if colour != "Amber" else "gold")
    draw = ImageDraw.Draw(image)
    draw.ellipse((100, 60, 220, 180), fill="white")
    draw.ellipse((50, 200, 270, 420), fill="white")
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    return portraits.portrait(encoded.getvalue())


async def _rooms(founder: Founder, people: dict[str, Founded]) -> dict[str, str]:
    red, blue = people["Red"], people["Blue"]
    live = await founder.room(
        red,
        "Bread, salt and slow records",
        about="What rises, what does not, and what to listen to meanwhile.",
        seats={people["Orange"].id: "speaker", people["Green"].id: "moderator"},
        interests=("cooking", "music"),
    )
    await founder.room(people["Violet"], "A book a week", interests=("books",))
    await founder.room(people["Cyan"], "Only for friends", visibility="followers")
    soon = await founder.room(
        red, "Tea at five", state="scheduled", scheduled_at=founder.now + timedelta(minutes=10)
    )
    planned = await founder.room(
        people["Green"],
        "Listening to one record, twice",
        state="scheduled",
        about="Bring headphones.\nNo talking during the first side.",
        scheduled_at=founder.now + timedelta(days=3),
        interests=("music",),
    )
    over = await founder.room(red, "Last week's leftovers", state="ended")
    async with founder.store.begin() as tx:
        for number, name in enumerate(("Red", "Green", "Blue")):
            tx.add(_talk(founder, over, people[name], 341_000 // (number + 1)))
        for room, guests in ((soon, (red, blue)), (planned, (people["Green"], blue))):
            for guest in guests:
                tx.add(Attendance(room_id=room, member_id=guest.id, at=founder.now))
    return {"live": live, "soon": soon, "planned": planned, "over": over}


def _talk(founder: Founder, room: str, person: Founded, spoken_ms: int) -> Talk:
    return Talk(
        room_id=room,
        member_id=person.id,
        spoken_ms=spoken_ms,
        stints=spoken_ms // 20_000,
        joined_at=founder.now - timedelta(minutes=50),
        left_at=founder.now - timedelta(minutes=2),
    )


async def _news(club: Club, founder: Founder, people: dict[str, Founded]) -> dict[str, str]:
    red, blue, green = people["Red"], people["Blue"], people["Green"]
    now = founder.now
    async with club.store.begin() as tx:
        for name in ("Green", "Orange", "Violet"):
            await follows.follow(tx, blue.id, people[name].id, now)
            await follows.follow(tx, people[name].id, blue.id, now)
            await follows.follow(tx, people[name].id, red.id, now)
        plan = Plan(topic="Night shift", invited=frozenset({green.id}))
        host = await tx.get(Member, red.id)
        member = await tx.get(Member, blue.id)
        assert host is not None and member is not None
        room = await opening.open_room(tx, host, plan, now)
        told = {"room": room.id, "member": red.id}
        for kind in ("reminder", "ping"):
            await notices.notify(tx, blue.id, kind, told, now)
        await moderation.report(tx, blue.id, people["Grey"].id, _reason(), "In every room.", now)
        await numbers.add(tx, club.settings, host, phone_of(8_000_000), now)
        invitation = await invitations.invite(tx, club.settings, member, "The neighbour", now)
        spent = await invitations.invite(tx, club.settings, member, "An old friend", now)
        await invitations.revoke(tx, member, spent.code, now)
    return {"invitation": invitation.code}


def _reason() -> str:
    return sorted(moderation.REASONS)[0]


async def _fill(
    stack: AsyncExitStack, base_url: str, people: dict[str, Founded], room: str
) -> None:
    """Those who are in the live room without a browser."""
    names = ["Orange", "Green", "Violet", "Grey", *(f"guest {n + 1}" for n in range(LISTENERS))]
    callers = {
        name: await stack.enter_async_context(Caller(base_url, people[name])) for name in names
    }
    for caller in callers.values():
        await caller.join(room)
    await callers["Orange"].act(room, "unmute")
    talking = asyncio.create_task(callers["Orange"].talk(HZ))
    stack.callback(talking.cancel)
    for name in ("Violet", "Grey"):
        await callers[name].act(room, "raise_hand")
