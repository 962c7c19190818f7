"""The club's backend against a fake daemon: who may do what, what pages are told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType
from aiohttp.test_utils import TestClient, TestServer

from control import Client
from control.commands import ParticipantJoin, ParticipantRemove, TrackMute
from control.events import ParticipantJoined, SpeakersChanged
from control.types import ActiveSpeaker, LeaveReason, Role
from deploy.club.app import BODY_BYTES_MAX, create_app
from deploy.club.club import Club
from deploy.club.visitors import Visitors
from tests.club.fake_daemon import FakeDaemon, fake_daemon, port_of, someone

KEY = "moderator-key"
WAIT_S = 5.0


class Page:
    """What a browser's page does: requests with a token, and the news it was told."""

    def __init__(self, web: TestClient[Any, Any]) -> None:
        self.web = web
        self.token: str | None = None
        self.id = ""
        self.news: dict[str, dict[str, Any]] = {}
        self._socket: ClientWebSocketResponse | None = None

    async def join(
        self, *, room: str = "lobby", name: str = "Guest", moderator: bool = False
    ) -> Any:
        body: dict[str, Any] = {"room": room, "name": name, "offer": "offer"}
        if self.token:
            body["token"] = self.token
        elif moderator:
            body["moderator_key"] = KEY
        answer = await self.post("/api/join", body)
        self.token, self.id = answer["token"], answer["id"]
        return answer

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        async with self.web.post(path, json=body) as response:
            answer = await response.json()
            assert response.status == status, answer
            return answer

    async def act(self, action: str, target: str | None = None, status: int = 200) -> Any:
        body = {"token": self.token, "action": action, "target": target}
        return await self.post("/api/act", body, status)

    async def open_feed(self) -> None:
        self._socket = await self.web.ws_connect("/api/feed")
        await self._socket.send_json({"token": self.token})

    async def close_feed(self) -> None:
        assert self._socket is not None
        await self._socket.close()

    async def told(self, kind: str, **expected: Any) -> dict[str, Any]:
        """Read news until the latest statement of `kind` has these values."""
        assert self._socket is not None
        async with asyncio.timeout(WAIT_S):
            while True:
                latest = self.news.get(kind)
                if latest and all(latest[key] == value for key, value in expected.items()):
                    return latest
                message = await self._socket.receive()
                assert message.type is WSMsgType.TEXT, f"{kind} {expected}: {self.news}"
                statement = message.json()
                self.news[statement["type"]] = statement


@contextlib.asynccontextmanager
async def running_club(
    daemon: FakeDaemon, visitors: Visitors | None = None
) -> AsyncIterator[TestClient[Any, Any]]:
    async with Client("127.0.0.1", port_of(daemon)) as control:
        club = Club(control, moderator_key=KEY, visitors=visitors)
        async with TestClient(TestServer(create_app(club))) as web:
            yield web


@pytest.fixture
async def daemon() -> AsyncIterator[FakeDaemon]:
    async with fake_daemon() as daemon:
        yield daemon


@pytest.fixture
async def web(daemon: FakeDaemon) -> AsyncIterator[TestClient[Any, Any]]:
    async with running_club(daemon) as web:
        yield web


async def joined(
    web: TestClient[Any, Any], *, moderator: bool = False, name: str = "Guest"
) -> Page:
    page = Page(web)
    await page.join(moderator=moderator, name=name)
    await page.open_feed()
    await page.told("you", present=True)
    return page


async def test_a_visitor_joins_as_a_muted_listener(web: Any, daemon: FakeDaemon) -> None:
    page = await joined(web)
    answer = await page.join()
    assert answer["answer"] == "answer to offer"
    command = next(item for item in daemon.commands if isinstance(item, ParticipantJoin))
    assert (command.role, command.muted, command.name) == (Role.LISTENER, True, "Guest")
    room = await page.told("room", audience_count=1)
    assert room["audience"][0] == {"id": page.id, "name": "Guest", "hand": False}


async def test_the_key_makes_a_moderator_and_a_wrong_one_nobody(web: Any) -> None:
    page = await joined(web, moderator=True)
    assert (await page.told("you", role="moderator"))["moderator"]
    body = {"room": "lobby", "name": "Stranger", "offer": "o", "moderator_key": "guess"}
    assert (await Page(web).post("/api/join", body, 403))["error"]["code"] == "forbidden"


async def test_a_raised_hand_is_seen_and_called_up_muted(web: Any, daemon: FakeDaemon) -> None:
    """The whole way: hand, call, unmute, mute by the moderator, back to the audience."""
    moderator = await joined(web, moderator=True, name="Mo")
    page = await joined(web)
    await page.act("raise_hand")
    hands = await moderator.told("room", hands=[{"id": page.id, "name": "Guest", "hand": True}])
    assert hands["audience_count"] == 1
    await moderator.act("call_up", page.id)
    await page.told("you", role="speaker", muted=True, hand=False)
    await page.act("unmute")
    await page.told("you", muted=False)
    await moderator.act("mute", page.id)
    await page.told("you", muted=True)
    await moderator.act("send_back", page.id)
    await page.told("you", role="listener")
    mutes = [item for item in daemon.commands if isinstance(item, TrackMute)]
    assert {item.actor for item in mutes} == {moderator.id}


@pytest.mark.parametrize("action", ["call_up", "send_back", "mute", "remove", "lower_hand"])
async def test_who_is_no_moderator_does_nothing_to_others(web: Any, action: str) -> None:
    page, other = await joined(web), await joined(web, name="Other")
    answer = await page.act(action, other.id, 403)
    assert answer["error"]["code"] == "forbidden"


async def test_moderators_do_nothing_to_each_other_nor_call_themselves(web: Any) -> None:
    one, two = await joined(web, moderator=True), await joined(web, moderator=True)
    await one.act("remove", two.id, 403)
    await one.act("call_up", one.id, 403)


async def test_a_removed_visitor_is_told_why_and_does_not_come_back(web: Any) -> None:
    moderator, page = await joined(web, moderator=True, name="Mo"), await joined(web)
    await moderator.act("remove", page.id)
    left = await page.told("left")
    assert (left["reason"], left["detail"]) == ("removed", "by Mo")
    body = {"room": "lobby", "name": "Guest", "offer": "o", "token": page.token}
    assert (await page.post("/api/join", body, 410))["error"]["code"] == "unknown_visitor"


async def test_a_lost_connection_may_come_back_in_its_role(web: Any, daemon: FakeDaemon) -> None:
    """`consent_expired` asks the page to rejoin; it is the speaker it was, muted."""
    moderator, page = await joined(web, moderator=True), await joined(web)
    await moderator.act("call_up", page.id)
    await page.told("you", role="speaker")
    daemon.leave("lobby", page.id, LeaveReason.CONSENT_EXPIRED)
    assert (await page.told("rejoin"))["reason"] == "consent_expired"
    await page.join()
    assert daemon.rooms["lobby"][page.id].role is Role.SPEAKER
    assert daemon.rooms["lobby"][page.id].muted


async def test_a_speaker_for_whom_there_is_no_seat_returns_as_a_listener(
    web: Any, daemon: FakeDaemon
) -> None:
    moderator, page = await joined(web, moderator=True), await joined(web)
    await moderator.act("call_up", page.id)
    await page.told("you", role="speaker")
    daemon.leave("lobby", page.id, LeaveReason.ICE_FAILED)
    await page.told("rejoin")
    daemon.stage_is_full = True
    body = {"room": "lobby", "name": "Guest", "offer": "o", "token": page.token}
    assert (await page.post("/api/join", body, 503))["error"]["message"] == "The stage is full."
    await page.join()
    assert daemon.rooms["lobby"][page.id].role is Role.LISTENER


async def test_speakers_are_passed_on(web: Any, daemon: FakeDaemon) -> None:
    page = await joined(web)
    speakers = [ActiveSpeaker(participant="guest", level=21, slot=0)]
    daemon.publish("lobby", SpeakersChanged(revision=1, speakers=speakers))
    await page.told("speakers", speakers=[{"id": "guest", "level": 21}])


async def test_guests_of_other_backends_are_on_stage_too(web: Any, daemon: FakeDaemon) -> None:
    page = await joined(web)
    guest = someone(Role.SPEAKER)
    daemon.rooms["lobby"][guest.participant] = guest
    daemon.publish("lobby", ParticipantJoined(participant=guest.participant, state=guest))
    async with asyncio.timeout(WAIT_S):
        while not (await page.told("room"))["stage"]:
            page.news.clear()
    assert page.news["room"]["stage"][0]["name"] == "Guest"


async def test_leaving_removes_the_participant_and_voids_the_token(
    web: Any, daemon: FakeDaemon
) -> None:
    page = await joined(web)
    await page.post("/api/leave", {"token": page.token})
    assert daemon.count(ParticipantRemove) == 1
    await page.act("raise_hand", status=410)


async def test_a_socket_that_comes_back_is_told_everything_again(web: Any) -> None:
    page = await joined(web)
    await page.close_feed()
    page.news.clear()
    await page.open_feed()
    await page.told("you", present=True)
    await page.told("room", audience_count=1)
    await page.told("daemon", up=True)


async def test_a_daemon_that_goes_away_and_comes_back_empty() -> None:
    """The page sees it go; requests fail at once; when it is back the page is asked to rejoin."""
    async with contextlib.AsyncExitStack() as stack:
        async with fake_daemon() as first:
            port = port_of(first)
            web = await stack.enter_async_context(running_club(first))
            page = await joined(web)
            await page.told("daemon", up=True)
        await page.told("daemon", up=False)
        assert (await page.act("raise_hand", status=503))["error"]["code"] == "unavailable"
        second = await stack.enter_async_context(fake_daemon(port=port, epoch="epoch-2"))
        await page.told("daemon", up=True)
        await page.told("rejoin", reason="lost")
        await page.join()
        assert page.id in second.rooms["lobby"]
        await page.told("you", present=True)


async def test_the_club_closes_at_once_while_the_daemon_is_away() -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with fake_daemon() as daemon:
            web = await stack.enter_async_context(running_club(daemon))
            page = await joined(web)
        await page.told("daemon", up=False)
        async with asyncio.timeout(3):
            await stack.aclose()


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"name": "Guest", "offer": "o"}, "room"),
        ({"room": "Lobby!", "name": "Guest", "offer": "o"}, "$.room"),
        ({"room": "a" * 33, "name": "Guest", "offer": "o"}, "$.room"),
        ({"room": "lobby", "name": "", "offer": "o"}, "$.name"),
        ({"room": "lobby", "name": "a\x07", "offer": "o"}, "$.name"),
        ({"room": "lobby", "name": "Guest", "offer": 7}, "$.offer"),
        ({"room": "lobby", "name": "Guest", "offer": "o" * 41_000}, "$.offer"),
        ({"room": "lobby", "name": "Guest", "offer": "o", "role": "moderator"}, "role"),
    ],
)
async def test_a_bad_join_is_refused_with_the_field(web: Any, body: Any, path: str) -> None:
    answer = await Page(web).post("/api/join", body, 400)
    assert path in answer["error"]["message"]


async def test_only_json_of_the_own_origin_and_of_modest_size(web: Any) -> None:
    body = {"room": "lobby", "name": "Guest", "offer": "o"}
    elsewhere = {"Origin": "https://elsewhere.example"}
    async with web.post("/api/join", json=body, headers=elsewhere) as response:
        assert response.status == 403
    async with web.post("/api/join", data=b"{}", headers={"Content-Type": "text/plain"}) as r:
        assert r.status == 400
    async with web.post("/api/join", json={"name": "a" * BODY_BYTES_MAX}) as response:
        assert response.status == 413
    async with web.get("/api/feed", headers=elsewhere) as response:
        assert response.status == 403


@pytest.mark.parametrize("first", ['{"token": "guess"}', "not json", "x" * 600])
async def test_a_socket_without_a_good_token_is_closed(web: Any, first: str) -> None:
    async with web.ws_connect("/api/feed") as socket:
        await socket.send_str(first)
        message = await socket.receive(timeout=WAIT_S)
        assert message.type is WSMsgType.CLOSE
    page = await joined(web)
    assert page.news["you"]["present"], "nobody else is disturbed"


async def test_a_second_socket_of_a_visitor_replaces_the_first(web: Any) -> None:
    page = await joined(web)
    older = page._socket
    assert older is not None
    await page.open_feed()
    async with asyncio.timeout(WAIT_S):
        while not older.closed:
            await older.receive()
    page.news.clear()
    await page.act("raise_hand")
    await page.told("you", hand=True)


async def test_a_full_club_says_so(daemon: FakeDaemon) -> None:
    async with running_club(daemon, Visitors(visitors_max=1)) as web:
        await joined(web)
        body = {"room": "lobby", "name": "Other", "offer": "o"}
        assert (await Page(web).post("/api/join", body, 503))["error"]["code"] == "full"


async def test_the_page_and_its_parts_load_nothing_from_elsewhere(web: Any) -> None:
    """Own files only, by policy and in fact."""
    for path in ("/", "/static/main.js", "/static/style.css", "/static/view.js"):
        async with web.get(path) as response:
            text = await response.text()
            assert response.status == 200
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            assert "http://" not in text and "https://" not in text
