"""Every route of the site, tried by everybody: what each may, and that nobody may more."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from sqlalchemy import func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from control import Client
from deploy.club.door import invitations
from deploy.club.room.authority import Action, Rank
from deploy.club.room.live import LiveRooms
from deploy.club.settings import Settings
from deploy.club.store import Base, Member, Notice, Session, Store
from deploy.club.web.app import all_routes
from deploy.club.web.limits import RATES, Limits, Rate
from deploy.club.web.routes import Standing
from tests.club.fake_daemon import FakeDaemon
from tests.club.founding import Founded, Founder, phone_of
from tests.club.route_cases import CASES, OFFER, WHO, Case, standing_of
from tests.club.web.site import Clock, Site, serving

FREE = {kind: Rate(10_000, 1.0) for kind in RATES}
# Tables that a turned-away request may touch: none of what people did.
HOUSEKEEPING = {Session.__tablename__}


@dataclass
class World:
    """A club with one person of each kind, three rooms, and the cookies of all."""

    site: Site
    founder: Founder
    daemon: FakeDaemon
    people: dict[str, Founded]
    names: dict[str, str]
    http: aiohttp.ClientSession

    async def send(self, method: str, case: Case, who: str) -> aiohttp.ClientResponse:
        """The request of a case, as somebody, with a form token that is theirs."""
        person = self.people.get(who)
        headers = {}
        if person is not None:
            headers = {"Cookie": f"club={person.cookie}", "X-CSRF": person.csrf}
        if method == "POST" and who in ("stranger", "removed"):
            # The cookie of who was removed opens nothing any more.
            visit = await self._as_stranger()
            cookies = [headers["Cookie"]] if person is not None else []
            headers = visit | {"Cookie": "; ".join([*cookies, visit["Cookie"]])}
        if case.is_socket:
            headers |= _UPGRADE | {"Origin": self.site.url}
        # A number gets one code a minute, whoever asks.
        fill = self.names | {"own_number": phone_of(6_000_000 + WHO.index(who))}
        form = {key: value.format(**fill) for key, value in (case.form or {}).items()}
        return await self.http.request(
            method,
            self.site.url + case.path.format(**fill),
            headers=headers,
            data=form if case.json is None and method == "POST" else None,
            json=case.json,
            allow_redirects=False,
        )

    async def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        async with self.site.store.begin() as tx:
            return {str(name): count for name, count in await tx.execute(_COUNTS)}

    async def _as_stranger(self) -> dict[str, str]:
        async with self.http.get(self.site.url + "/sign-in") as response:
            cookie = response.cookies["club-visit"].value
            found = re.search(r'name="csrf" value="([^"]+)"', await response.text())
        assert found is not None
        return {"Cookie": f"club-visit={cookie}", "X-CSRF": found[1]}


_COUNTS = union_all(
    *(
        select(literal(table.name), func.count()).select_from(table)
        for table in Base.metadata.sorted_tables
        if table.name not in HOUSEKEEPING
    )
)
_SOCKET = aiohttp.ClientWSTimeout(ws_receive=5.0)
_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """One database is enough: who may what is not the database's to say."""
    path = tmp_path / "club.sqlite"
    shutil.copyfile(request.getfixturevalue("_sqlite_template"), path)
    return f"sqlite+aiosqlite:///{path}"


@pytest_asyncio.fixture
async def world(store: Store, settings: Settings, tmp_path: Path) -> AsyncIterator[World]:
    """A fresh one for each test."""
    async with AsyncExitStack() as stack:
        # Not TCP: without TCP_NODELAY, which plain asyncio leaves out here, each answer beside an
        # event takes 40 ms.
        path = f"unix:{tmp_path / 'control'}"
        daemon = FakeDaemon("epoch-1")
        await stack.enter_async_context(daemon.server)
        await daemon.server.start(path)
        control = await stack.enter_async_context(Client(path))
        clock = Clock()
        live = LiveRooms(control, store, clock=clock)
        site = await stack.enter_async_context(
            serving(store, settings, live=live, clock=clock, limits=Limits(FREE))
        )
        http = await stack.enter_async_context(
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        )
        founder = Founder(store, settings, clock())
        async with founder.at_once() as tx:
            people = await _people(founder, tx)
            names = await _names(founder, tx, people)
        made = World(site, founder, daemon, people, names, http)
        for who in ("listener", "speaker", "moderator", "room_host"):
            case = CASES["POST", "/rooms/{id}/join"]
            async with await made.send("POST", case, who) as response:
                assert response.status == 200, await response.text()
        yield made


async def _people(founder: Founder, tx: AsyncSession) -> dict[str, Founded]:
    people = {
        who: await founder.person(who.replace("_", " "), is_host=who == "host")
        for who in WHO
        if who not in ("stranger", "newcomer", "waiting", "removed")
    }
    people["waiting"] = await founder.person("waiting", standing="waiting")
    people["removed"] = await founder.person("removed")
    people["newcomer"] = await founder.newcomer()
    people["bystander"] = await founder.person("bystander")
    people["follower"] = await founder.person("follower")
    removed = await tx.get(Member, people["removed"].id)
    assert removed is not None
    removed.standing = "removed"
    await founder.block(people["room_host"], people["blocked"])
    await founder.follow(people["follower"], people["room_host"])
    return people


async def _names(founder: Founder, tx: AsyncSession, people: dict[str, Founded]) -> dict[str, str]:
    """What stands in braces in the cases."""
    host = people["room_host"]
    live = await founder.room(
        host,
        "Tea",
        seats={people["moderator"].id: "moderator", people["speaker"].id: "speaker"},
    )
    planned = await founder.room(
        host, "Coffee", state="scheduled", scheduled_at=founder.now + timedelta(minutes=5)
    )
    member = await tx.get(Member, host.id)
    assert member is not None
    invitation = await invitations.invite(tx, founder.settings, member, "somebody", founder.now)
    ids = {who: person.id for who, person in people.items()}
    return ids | {"live": live, "planned": planned, "invitation": invitation.code}


def test_every_route_has_an_expectation_and_every_expectation_a_route() -> None:
    routes = {(route.method, route.path): route.needs for route in all_routes()}
    assert routes == {key: case.needs for key, case in CASES.items()}


async def test_every_page_is_shown_to_whom_it_should(world: World) -> None:
    for (method, _), case in CASES.items():
        if method == "GET":
            await _try(world, method, case)


@pytest.mark.parametrize("path", [path for method, path in CASES if method == "POST"])
async def test_a_form_does_something_for_whom_it_should(world: World, path: str) -> None:
    await _try(world, "POST", CASES["POST", path])


async def _try(world: World, method: str, case: Case) -> None:
    """A case as everybody. Who is turned away changes nothing."""
    is_json = case.json is not None or case.is_socket
    before = await world.rows()
    for who in WHO:
        async with await world.send(method, case, who) as response:
            location = response.headers.get("Location", "")
            told = f"{case.path} as {who}: {response.status} {location}"
            if standing_of(who) >= case.needs:
                told += await _code_of(response)
                assert response.status == case.expected(who), told
            else:
                assert _is_turned_away(response, standing_of(who), is_json), told
                assert await world.rows() == before, f"{who} changed something"
        before = await world.rows()


async def _code_of(response: aiohttp.ClientResponse) -> str:
    """What the page or the JSON says that the matter is, for a message."""
    found = re.search(r'(?:data-code=|"code": )"(\w+)"', await response.text())
    return f" {found[1]}" if found else ""


def _is_turned_away(response: aiohttp.ClientResponse, standing: Standing, is_json: bool) -> bool:
    if is_json:
        return response.status == (401 if standing is Standing.STRANGER else 403)
    if standing is Standing.MEMBER:
        return response.status == 403
    way = "/waiting" if standing is Standing.WAITING else ("/sign-in", "/welcome")
    return response.status == 303 and response.headers["Location"] in way


async def test_a_form_of_another_site_does_nothing(world: World) -> None:
    """A browser sends the cookie along, but not the token of the page's form."""
    before = await world.rows()
    assert before[Member.__tablename__] >= len(world.people) - 1, "rows are counted"
    for who in ("moderator", "room_host", "host"):
        world.people[who] = replace(world.people[who], csrf="forged")
        for (method, _), case in CASES.items():
            if method == "POST":
                async with await world.send(method, case, who) as response:
                    assert response.status == 403, f"{case.path} as {who}: {response.status}"
    assert await world.rows() == before


async def test_a_socket_of_another_site_is_not_opened(world: World) -> None:
    case = CASES["GET", "/rooms/{id}/socket"]
    cookie = {"Cookie": f"club={world.people['listener'].cookie}"}
    for origin in ({"Origin": "https://elsewhere.example"}, {}):
        url = world.site.url + case.path.format(**world.names)
        async with world.http.get(url, headers=_UPGRADE | cookie | origin) as response:
            assert response.status == 403


async def test_who_may_not_be_in_a_room_is_told_so_and_nothing_else(world: World) -> None:
    person = world.people["blocked"]
    url = world.site.url + CASES["GET", "/rooms/{id}/socket"].path.format(**world.names)
    headers = {"Cookie": f"club={person.cookie}", "Origin": world.site.url}
    async with world.http.ws_connect(url, headers=headers, timeout=_SOCKET) as socket:
        told = [message.json() async for message in socket]
    assert [one["type"] for one in told] == ["left"]
    assert told[0]["reason"] == "no_such_room"


# Who may do what in a room, by hand. Targets are people with that rank, "outside" a member who is
# not in the room and follows the actor.
ALONE: dict[str, set[str]] = {
    "raise_hand": {"listener"},
    "lower_hand": {"listener"},
    "accept": {"listener"},
    "decline": {"listener"},
    "mute": {"speaker", "moderator", "room_host"},
    "unmute": {"speaker", "moderator", "room_host"},
    "leave_stage": {"speaker", "moderator", "room_host"},
    "call_up": {"moderator", "room_host"},
    "lock": {"moderator", "room_host"},
    "unlock": {"moderator", "room_host"},
    "lock_hands": {"moderator", "room_host"},
    "unlock_hands": {"moderator", "room_host"},
    "end": {"moderator", "room_host", "host"},
}
BELOW_MODERATOR, BELOW_HOST = {"listener", "speaker"}, {"listener", "speaker", "moderator"}
TO_OTHERS: dict[str, dict[str, set[str]]] = {
    "lower_hand": {"moderator": {"listener"}, "room_host": {"listener"}},
    "call_up": {"moderator": {"listener"}, "room_host": {"listener"}},
    "invite": {"moderator": {"listener"}, "room_host": {"listener"}},
    "move_down": {"moderator": {"speaker"}, "room_host": {"speaker", "moderator"}},
    "mute_other": {"moderator": {"speaker"}, "room_host": {"speaker", "moderator"}},
    "make_moderator": {"moderator": {"speaker"}, "room_host": {"speaker"}},
    "unmake_moderator": {"room_host": {"moderator"}},
    "remove": {
        "moderator": BELOW_MODERATOR,
        "room_host": BELOW_HOST,
        "host": {*BELOW_HOST, "room_host"},
    },
    "ping": dict.fromkeys(("listener", "speaker", "moderator", "room_host"), {"outside"}),
}
ACTORS = ("member", "blocked", "listener", "speaker", "moderator", "room_host", "host")
TARGETS = ("outside", "listener", "speaker", "moderator", "room_host")


def test_every_action_has_an_expectation() -> None:
    assert set(ALONE) | set(TO_OTHERS) == {action.value for action in Action}
    assert {rank.name.lower() for rank in Rank} <= {*TARGETS, "host"}


def _refused(actor: str, action: str, target: str | None) -> bool:
    if target is None:
        return actor not in ALONE.get(action, ())
    return target not in TO_OTHERS.get(action, {}).get(actor, ())


async def _act(world: World, actor: str, action: str, target: str | None) -> tuple[int, str]:
    given: dict[str, Any] = {"action": action}
    if target is not None:
        given["target"] = world.names[target]
    case = Case("/rooms/{live}/act", Standing.MEMBER, 200, json=given)
    async with await world.send("POST", case, actor) as response:
        return response.status, await response.text()


@pytest.mark.parametrize("actor", ACTORS)
async def test_what_is_not_somebodys_to_do_is_refused_and_reaches_no_daemon(
    world: World, actor: str
) -> None:
    """All actions on oneself, on the room and on everybody, that the tables do not allow."""
    world.names["outside"] = world.people["bystander"].id
    for action in Action:
        for target in (None, *(one for one in TARGETS if one != actor)):
            if not _refused(actor, action, target):
                continue
            commands = len(world.daemon.commands)
            notices = (await world.rows())[Notice.__tablename__]
            status, said = await _act(world, actor, action, target)
            # Who is not inside learns nothing of who is, and who was blocked nothing of the room.
            expected = {"member": (403,), "blocked": (404,)}.get(actor, (403, 404, 409))
            assert status in expected, f"{action} of {target}: {status} {said}"
            changing = [
                command
                for command in world.daemon.commands[commands:]
                if not type(command).__name__.endswith(("Snapshot", "Get", "List"))
            ]
            assert not changing, f"{action} of {target}"
            assert (await world.rows())[Notice.__tablename__] == notices


ALLOWED = [(who, action, None) for action, actors in ALONE.items() for who in sorted(actors)] + [
    (who, action, target)
    for action, table in TO_OTHERS.items()
    for who, targets in table.items()
    for target in sorted(targets)
]


@pytest.mark.parametrize(("actor", "action", "target"), ALLOWED)
async def test_what_is_somebodys_to_do_is_done(
    world: World, actor: str, action: str, target: str | None
) -> None:
    """Each in a room of its own, in which what it needs has happened before."""
    world.names["outside"] = world.people["bystander"].id
    if target == "outside":
        await world.founder.follow(world.people["bystander"], world.people[actor])
    await _prepare(world, actor, action, target)
    status, said = await _act(world, actor, action, target)
    assert status == 200, said


async def _prepare(world: World, actor: str, action: str, target: str | None) -> None:
    """A hand to lower, an invitation to answer, a stage to come back to."""
    if action == "lower_hand" or (action == "call_up" and target is not None):
        assert (await _act(world, "listener", "raise_hand", None))[0] == 200
    if action in ("accept", "decline"):
        assert (await _act(world, "room_host", "invite", "listener"))[0] == 200
    if action == "call_up" and target is None:
        assert (await _act(world, actor, "leave_stage", None))[0] == 200


async def test_who_was_removed_does_not_come_back_in(world: World) -> None:
    assert (await _act(world, "moderator", "remove", "listener"))[0] == 200
    case = Case("/rooms/{live}/join", Standing.MEMBER, 403, json={"offer": OFFER})
    async with await world.send("POST", case, "listener") as response:
        assert response.status == 403


async def test_a_locked_room_lets_nobody_new_in(world: World) -> None:
    assert (await _act(world, "moderator", "lock", None))[0] == 200
    case = Case("/rooms/{live}/join", Standing.MEMBER, 403, json={"offer": OFFER})
    async with await world.send("POST", case, "member") as response:
        assert response.status == 403
    async with await world.send("POST", case, "listener") as response:
        assert response.status == 200
