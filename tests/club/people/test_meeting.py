"""Following and blocking, and the profiles that show it."""

from __future__ import annotations

import pytest

from deploy.club.people import blocks, follows, notices, profiles
from deploy.club.people.follows import FOLLOWED_MAX
from deploy.club.refusal import Refused
from deploy.club.store import Follow, Member, Store
from tests.club.founding import Founded, Founder
from tests.club.people.conftest import NOW, put_out


async def seen(store: Store, viewer: Founded, member: Founded) -> profiles.Profile:
    async with store.begin() as tx:
        return await profiles.profile(tx, await tx.get_one(Member, viewer.id), member.id)


async def test_a_profile_names_its_inviter_interests_and_whom_one_follows(
    store: Store, founder: Founder
) -> None:
    red = await founder.person("Red")
    blue = await founder.person("Blue", invited_by=red.id, interests=["music"], bio="Hi")
    white = await founder.person("White")
    await founder.follow(blue, white)
    await founder.follow(red, blue)
    profile = await seen(store, white, blue)
    assert profile.inviter is not None and profile.inviter.id == red.id
    assert profile.interests == {"music"}
    assert [one.id for one in profile.following] == [white.id]
    assert (profile.following_count, profile.followers_count) == (1, 1)
    assert not (profile.is_me or profile.is_followed or profile.is_blocked)
    assert (await seen(store, red, blue)).is_followed
    assert (await seen(store, blue, blue)).is_me


async def test_following_tells_the_followed_one_once(store: Store, founder: Founder) -> None:
    red, blue = await founder.people(2)
    async with store.begin() as tx:
        for _ in range(3):
            await follows.follow(tx, red.id, blue.id, NOW)
        await follows.unfollow(tx, red.id, blue.id)
        assert await follows.followed_by(tx, red.id) == frozenset()
        await follows.follow(tx, red.id, blue.id, NOW)
        assert await follows.followed_by(tx, red.id) == {blue.id}
        assert await follows.followers_of(tx, blue.id) == {red.id}
        assert [one.kind for one in await notices.latest(tx, blue.id)] == ["followed"]


async def test_nobody_follows_themselves_or_nobody(store: Store, founder: Founder) -> None:
    red = await founder.person("Red")
    waiting = await founder.person("Blue", standing="waiting")
    removed = await founder.person("White")
    await put_out(store, removed)
    for other, code in ((red.id, "yourself"), ("m-none", "not_found")) + tuple(
        (one.id, "not_found") for one in (waiting, removed)
    ):
        with pytest.raises(Refused) as refused:
            async with store.begin() as tx:
                await follows.follow(tx, red.id, other, NOW)
        assert refused.value.code == code


async def test_nobody_follows_more_than_a_hall_can_rank(
    store: Store, founder: Founder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert FOLLOWED_MAX > 1
    monkeypatch.setattr(follows, "FOLLOWED_MAX", 1)
    red, blue, white = await founder.people(3)
    with pytest.raises(Refused) as refused:
        async with store.begin() as tx:
            await follows.follow(tx, red.id, blue.id, NOW)
            await follows.follow(tx, red.id, white.id, NOW)
    assert refused.value.code == "too_many_followed"


async def test_a_block_counts_both_ways_and_ends_following(store: Store, founder: Founder) -> None:
    red, blue, white = await founder.people(3)
    await founder.follow(red, blue)
    await founder.follow(blue, red)
    await founder.follow(white, red)
    async with store.begin() as tx:
        await blocks.block(tx, red.id, blue.id, NOW)
        await blocks.block(tx, red.id, blue.id, NOW)
        assert await blocks.blocked_between(tx, red.id) == {blue.id}
        assert await blocks.blocked_between(tx, blue.id) == {red.id}
        assert await blocks.blocked_between(tx, white.id) == set()
        assert await blocks.is_blocked(tx, blue.id, red.id)
        assert [one.id for one in await blocks.blocked_by(tx, red.id)] == [blue.id]
        assert await blocks.blocked_by(tx, blue.id) == []
        assert await tx.get(Follow, (red.id, blue.id)) is None
        assert await follows.followers_of(tx, red.id) == {white.id}


async def test_who_is_blocked_finds_nobody_there(store: Store, founder: Founder) -> None:
    red, blue = await founder.people(2)
    await founder.block(red, blue)
    assert (await seen(store, red, blue)).is_blocked
    with pytest.raises(Refused) as refused:
        await seen(store, blue, red)
    assert (refused.value.code, refused.value.status) == ("not_found", 404)
    for one, other in ((red, blue), (blue, red)):
        with pytest.raises(Refused) as refused:
            async with store.begin() as tx:
                await follows.follow(tx, one.id, other.id, NOW)
        assert refused.value.code == "not_found"


async def test_unblocking_takes_back_only_ones_own(store: Store, founder: Founder) -> None:
    red, blue = await founder.people(2)
    await founder.block(red, blue)
    await founder.block(blue, red)
    async with store.begin() as tx:
        await blocks.unblock(tx, red.id, blue.id)
        assert await blocks.is_blocked(tx, red.id, blue.id)
        await blocks.unblock(tx, blue.id, red.id)
        assert not await blocks.is_blocked(tx, red.id, blue.id)


async def test_a_profile_does_not_show_people_that_the_viewer_does_not_meet(
    store: Store, founder: Founder
) -> None:
    red, blue, white = await founder.people(3)
    await founder.follow(red, blue)
    await founder.block(blue, white)
    assert [one.id for one in (await seen(store, red, red)).following] == [blue.id]
    hidden = await seen(store, white, red)
    # Nor does it tell that somebody is left out.
    assert (hidden.following, hidden.is_following_cut) == ([], False)


async def test_the_chain_goes_up_to_who_came_without_invitation(
    store: Store, founder: Founder
) -> None:
    red = await founder.person("Red")
    gone = await founder.person("Blue", invited_by=red.id)
    await put_out(store, gone)
    white = await founder.person("White", invited_by=gone.id)
    async with store.begin() as tx:
        links = await profiles.chain(tx, await tx.get_one(Member, red.id), white.id)
    assert [one.id for one in links] == [white.id, gone.id, red.id]


async def test_a_chain_that_bites_its_tail_ends(store: Store, founder: Founder) -> None:
    red = await founder.person("Red")
    blue = await founder.person("Blue", invited_by=red.id)
    async with store.begin() as tx:
        (await tx.get_one(Member, red.id)).invited_by = blue.id
        await tx.flush()
        links = await profiles.chain(tx, await tx.get_one(Member, red.id), red.id)
    assert [one.id for one in links] == [red.id, blue.id]


async def test_interests_are_replaced_as_a_whole(store: Store, founder: Founder) -> None:
    red = await founder.person("Red", interests=["music", "books"])
    async with store.begin() as tx:
        await profiles.change_profile(tx, red.id, " Green ", "", ["books", "film", "gone"])
    profile = await seen(store, red, red)
    assert profile.member.name == "Green"
    assert profile.interests == {"books", "film"}


async def test_a_new_picture_replaces_the_old_one(store: Store, founder: Founder) -> None:
    red = await founder.person("Red")
    async with store.begin() as tx:
        await profiles.change_picture(tx, red.id, b"one", NOW)
        first = (await tx.get_one(Member, red.id)).picture_id
        await profiles.change_picture(tx, red.id, b"two", NOW)
        second = (await tx.get_one(Member, red.id)).picture_id
    assert first and second and first != second
    async with store.begin() as tx:
        assert await profiles.picture(tx, second) == b"two"
        with pytest.raises(Refused):
            await profiles.picture(tx, first)
        await profiles.change_picture(tx, red.id, None, NOW)
        assert (await tx.get_one(Member, red.id)).picture_id is None
