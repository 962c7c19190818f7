"""Live rooms over the club's own API: what people do in them, and what pages are told."""

from __future__ import annotations

import json

import pytest
from aiohttp import WSCloseCode

from control.commands import ParticipantJoin, RoomCreate, TrackMute
from control.events import QualityChanged
from control.types import LeaveReason, Role
from deploy.club.room.scenes import Scene
from tests.club.fake_daemon import FakeDaemon
from tests.club.room.house import House, Visit


async def test_the_first_to_join_makes_the_room_and_hosts_are_its_moderators(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    (made,) = [one for one in daemon.commands if isinstance(one, RoomCreate)]
    assert (made.room, made.orphan_policy) == (host.room, "keep")
    you = await host.told("you")
    assert (you["role"], you["moderator"], you["host"], you["muted"]) == (
        *("moderator", True, True),
        True,
    )
    assert {"end", "lock"} <= set(you["may"])
    room = await host.told("room")
    assert room["stage"] == [
        dict(id=host.id, name="Red", picture=None, role="moderator", host=True, muted=True)
        | {"away": False}
    ]


async def test_a_member_joins_as_a_muted_listener(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    guest = await house.visit("Blue", host.room)
    joined = await guest.join()
    generation = daemon.rooms[host.room][guest.id].generation
    assert joined == {"answer": "answer to offer", "id": guest.id, "generation": generation}
    command = [one for one in daemon.commands if isinstance(one, ParticipantJoin)][-1]
    assert (command.role, command.muted, command.name) == (Role.LISTENER, True, "Blue")
    room = await host.told("room", audience_count=1)
    assert room["audience"] == [{"id": guest.id, "name": "Blue", "picture": None}]
    assert (await guest.told("quality"))["tier"] == "A1"
    counts = house.live.counts(host.room)
    assert counts is not None
    assert (counts.speakers, counts.listeners, counts.names) == (1, 1, ("Red",))


async def test_the_whole_way_of_a_hand(house: House, daemon: FakeDaemon, host: Visit) -> None:
    """Hand, call, unmute, mute by the moderator, back to the audience."""
    guest = await house.visit("Blue", host.room)
    await guest.act("raise_hand")
    await host.told(
        "room", hands=[{"id": guest.id, "name": "Blue", "picture": None, "invited": False}]
    )
    assert (await guest.told("room"))["hands"] == [], "the queue is for moderators"
    await host.act("call_up", guest)
    await guest.told("you", role="speaker", muted=True, hand=False)
    assert await house.seat(host.room, guest.id) == "speaker"
    await guest.act("unmute")
    await guest.told("you", muted=False)
    await host.act("mute_other", guest)
    await guest.told("you", muted=True)
    await host.act("move_down", guest)
    await guest.told("you", role="listener")
    assert await house.seat(host.room, guest.id) == "invited"
    mutes = [one for one in daemon.commands if isinstance(one, TrackMute)]
    assert {one.actor for one in mutes} == {host.id}


async def test_who_is_called_up_again_is_muted_however_they_left(house: House, host: Visit) -> None:
    guest = await house.visit("Blue", host.room)
    for _ in range(2):
        await guest.act("raise_hand")
        await host.act("call_up", guest)
        await guest.told("you", role="speaker", muted=True)
        await guest.act("unmute")
        await guest.told("you", muted=False)
        await guest.act("leave_stage")
        await guest.told("you", role="listener")
        assert await house.seat(host.room, guest.id) == "invited", "they come back as a listener"


async def test_nobody_is_called_up_whose_hand_is_down_but_asked(house: House, host: Visit) -> None:
    guest = await house.visit("Blue", host.room)
    await host.act("call_up", guest)
    asked = await guest.told("invited", invited=True)
    assert asked["by"] == "Red"
    assert (await guest.told("you"))["role"] == "listener"
    await guest.act("decline")
    await guest.told("invited", invited=False)
    await host.act("invite", guest)
    await guest.told("invited", invited=True)
    await guest.act("accept")
    await guest.told("you", role="speaker")
    assert await house.seat(host.room, guest.id) == "speaker"
    await guest.act("leave_stage")
    await guest.told("you", role="listener")
    await guest.act("accept", status=409)


async def test_hands_are_lowered_by_oneself_and_by_moderators(house: House, host: Visit) -> None:
    guest = await house.visit("Blue", host.room)
    other = await house.visit("White", host.room)
    await guest.act("raise_hand")
    await guest.told("you", hand=True)
    await other.act("lower_hand", guest, status=403)
    await guest.act("lower_hand")
    await guest.told("you", hand=False)
    await guest.act("raise_hand")
    await guest.told("you", hand=True)
    await host.act("lower_hand", guest)
    await guest.told("you", hand=False)


async def test_a_page_is_told_what_its_line_carries_and_why(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    guest = await house.visit("Blue", host.room)
    assert await guest.told("quality", cause="join")
    change = QualityChanged(participant=guest.id, tier="B3", previous="A1", cause="loss")
    daemon.publish(host.room, change)
    assert (await guest.told("quality", tier="B3"))["cause"] == "loss"
    await host.act("unmute")
    await host.told("you", muted=False)
    assert host.news["quality"]["tier"] == "A1", "one listener's line is nobody else's"


async def test_a_moderator_is_made_and_unmade(house: House, host: Visit) -> None:
    guest = await house.visit("Blue", host.room)
    await guest.act("raise_hand")
    await host.act("call_up", guest)
    await guest.act("lock", status=403)
    await host.act("make_moderator", guest)
    await guest.told("you", role="moderator", moderator=True, host=False)
    await guest.act("move_down", host, status=403)
    await guest.act("leave_stage")
    await guest.told("you", role="listener", moderator=True)
    await guest.act("call_up")
    await guest.told("you", role="moderator", muted=True)
    await host.act("unmake_moderator", guest)
    await guest.told("you", role="speaker", moderator=False)
    assert await house.seat(host.room, guest.id) == "speaker"
    await host.act("make_moderator", guest)
    await guest.told("you", moderator=True)
    await guest.act("leave_stage")
    await host.act("unmake_moderator", guest)
    await guest.told("you", role="listener", moderator=False)
    assert await house.seat(host.room, guest.id) == "invited", "nobody is brought back on stage"


async def test_who_is_removed_is_told_and_stays_out(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    guest = await house.visit("Blue", host.room)
    await host.act("remove", guest)
    left = await guest.told("left")
    assert (left["reason"], left["detail"]) == ("banned", "Red")
    await guest.told_nothing_more()
    assert (await guest.join(status=403))["error"]["code"] == "removed"
    await guest.open()
    assert (await guest.told("left", reason="removed"))["detail"] is None
    await host.act("remove", guest, status=404)


async def test_a_locked_room_takes_nobody_new_but_who_comes_back(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    guest = await house.visit("Blue", host.room)
    await host.act("lock")
    await guest.told("locked", locked=True)
    stranger = Visit(await house.site.signed_in("White"), host.room)
    assert (await stranger.join(status=403))["error"]["code"] == "locked"
    daemon.leave(host.room, guest.id, LeaveReason.ICE_FAILED)
    assert (await guest.told("rejoin"))["reason"] == "ice_failed"
    await guest.join()
    await guest.leave()
    assert (await guest.join(status=403))["error"]["code"] == "locked"
    await host.act("unlock")
    await host.told("locked", locked=False)
    await stranger.join()


async def test_hands_can_be_closed(house: House, host: Visit) -> None:
    guest = await house.visit("Blue", host.room)
    await host.act("lock_hands")
    await guest.told("room", hands_locked=True)
    assert (await guest.act("raise_hand", status=409))["error"]["code"] == "not_now"
    await host.act("unlock_hands")
    await guest.act("raise_hand")
    await guest.told("you", hand=True)


async def test_the_end_is_told_and_nobody_comes_back(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    guest = await house.visit("Blue", host.room)
    await guest.act("end", status=403)
    await host.act("end")
    for visit in (guest, host):
        await visit.told("ended")
        await visit.told_nothing_more()
    assert host.room not in daemon.rooms
    assert (await guest.join(status=409))["error"]["code"] == "over"
    await guest.open()
    await guest.told("ended")


async def test_a_friend_is_asked_in(house: House, host: Visit) -> None:
    friend = await house.site.signed_in("Blue", language="de")
    other = await house.room(friend)
    page = await house.visit(friend, other)
    assert (await host.act("ping", friend.id, status=404))["error"]["code"] == "no_such_member"
    await friend.post(f"/people/{host.id}/follow")
    await host.told("notice", kind="followed")
    await host.act("ping", friend.id)
    told = await page.told("notice", kind="ping")
    assert told["href"] == f"/rooms/{host.room}"
    assert told["text"] == "Red bittet dich in „A topic“."
    await Visit(friend, host.room).join()
    assert (await host.act("ping", friend.id, status=403))["error"]["code"] == "inside"
    outsider = Visit(await house.site.signed_in("White"), host.room)
    for action in ("ping", "remove"):
        for target in (friend.id, "m-nobody"):
            said = await outsider.act(action, target, status=403)
            assert said["error"]["code"] == "forbidden", "they learn nothing of who is there"


async def test_a_moderators_ping_into_a_room_for_the_invited_is_the_invitation(
    house: House,
) -> None:
    who = await house.site.signed_in("Red")
    host = await house.visit(who, await house.room(who, visibility="invited"))
    friend = await house.site.signed_in("Blue")
    await friend.post(f"/people/{who.id}/follow")
    assert (await Visit(friend, host.room).join(status=403))["error"]["code"] == "invited_only"
    await host.act("ping", friend.id)
    await Visit(friend, host.room).join()


async def test_the_ping_of_who_is_not_in_charge_invites_nobody(house: House) -> None:
    who, blue, friend = [await house.site.signed_in(name) for name in ("Red", "Blue", "White")]
    room = await house.room(who, visibility="invited", seats={blue.id: "invited"})
    guest = await house.visit(blue, room)
    await friend.post(f"/people/{blue.id}/follow")
    assert (await guest.act("ping", friend.id, status=403))["error"]["code"] == "invited_only"
    assert await house.seat(room, friend.id) is None


async def test_who_is_removed_from_the_club_is_out_of_its_rooms(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    guest = await house.visit("Blue", host.room)
    other = await house.room(host.who)
    elsewhere = Visit(guest.who, other)  # a page that has not joined yet
    await elsewhere.open()
    await elsewhere.told("rejoin")
    steward = await house.site.signed_in("White", is_host=True)
    await steward.post(f"/people/{guest.id}/remove")
    assert (await guest.told("left"))["reason"] == "removed"
    assert (await elsewhere.told("left"))["reason"] == "removed"
    while guest.id in daemon.rooms[host.room]:
        await host.told("room", audience_count=0)


async def test_a_room_that_the_daemon_does_not_have_can_be_ended(house: House) -> None:
    who = await house.site.signed_in("Red")
    steward = await house.site.signed_in("White", is_host=True)
    room = await house.room(who)
    assert house.live.counts(room) is None
    assert (await Visit(who, room).act("end", status=403))["error"]["code"] == "forbidden"
    await Visit(steward, room).act("end")
    assert (await Visit(who, room).join(status=409))["error"]["code"] == "over"


async def test_a_host_of_the_club_ends_any_room(house: House, host: Visit) -> None:
    steward = await house.site.signed_in("White", is_host=True)
    await Visit(steward, host.room).act("lock", status=403)
    await Visit(steward, host.room).act("end")
    await host.told("ended")


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("join", {}),
        ("join", {"offer": ""}),
        ("join", {"offer": 7}),
        ("join", {"offer": "o" * 41_000}),
        ("join", {"offer": "o", "role": "moderator"}),
        ("act", {"action": "sing"}),
        ("act", {"action": "mute", "target": ""}),
        ("act", {"action": 1}),
    ],
)
async def test_what_is_not_understood_is_a_bad_request(
    house: House, host: Visit, verb: str, body: object
) -> None:
    page = await host.who.post_json(f"/rooms/{host.room}/{verb}", body)
    assert (page.status, json.loads(page.text)["error"]["code"]) == (400, "bad_request")


async def test_a_page_that_talks_on_its_socket_is_closed(house: House, host: Visit) -> None:
    assert host.socket is not None
    await host.socket.send_str("hello")
    await host.told_nothing_more()
    assert host.socket.close_code == 1008


async def test_the_page_of_a_live_room_and_of_one_that_is_over(house: House, host: Visit) -> None:
    page = await host.who.get(f"/rooms/{host.room}")
    assert page.status == 200
    assert page.has("stage") and page.has("hands") and page.has("leave")
    await host.act("end")
    page = await host.who.get(f"/rooms/{host.room}")
    assert page.status == 200 and not page.has("stage")
    assert (await host.who.get("/rooms/r-nothing")).status == 404


async def test_a_page_that_could_not_be_told_comes_back_and_is_told_everything(
    house: House, host: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of our own must not leave a page that shows what was."""

    def fail(*_: object, **__: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(Scene, "room", fail)
    guest = Visit(await house.site.signed_in("Blue"), host.room)
    await guest.join()
    await host.told_nothing_more()
    assert host.socket is not None and host.socket.close_code == WSCloseCode.INTERNAL_ERROR
    monkeypatch.undo()
    await host.open()
    await host.told("room", audience_count=1)
