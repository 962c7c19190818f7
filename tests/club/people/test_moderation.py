"""Reports, removal and the log."""

from __future__ import annotations

import pytest

from deploy.club.door.sessions import find
from deploy.club.people import moderation, notices
from deploy.club.people.moderation import OPEN_REPORTS_EACH_MAX, REPORT_TEXT_MAX, STANDING_TOPIC
from deploy.club.refusal import Refused
from deploy.club.store import Invitation, Member, Report, Store
from tests.club.founding import Founded, Founder
from tests.club.people.conftest import NOW, put_out


async def reported(store: Store, by: Founded, whom: Founded, room: str | None = None) -> str:
    async with store.begin() as tx:
        made = await moderation.report(tx, by.id, whom.id, "spam", " loud ", NOW, room_id=room)
    return made.id


async def resolve(store: Store, host: Founded, report: str, outcome: str) -> None:
    async with store.begin() as tx:
        await moderation.resolve(tx, await tx.get_one(Member, host.id), report, outcome, NOW)


async def remove(store: Store, host: Founded, member: Founded) -> None:
    async with store.begin() as tx:
        await moderation.remove_member(tx, await tx.get_one(Member, host.id), member.id, NOW)


async def actions(store: Store) -> list[tuple[str, str | None]]:
    async with store.begin() as tx:
        return [(one.entry.action, one.entry.subject_id) for one in await moderation.log(tx)]


async def test_hosts_read_who_reported_whom_where_and_why(store: Store, founder: Founder) -> None:
    red, blue = await founder.people(2)
    room = await founder.room(blue, "Tea")
    await reported(store, red, blue, room)
    await reported(store, blue, red, "r-none")
    async with store.begin() as tx:
        reports = {one.reported.id: one for one in await moderation.open_reports(tx)}
    one = reports[blue.id]
    assert one.reporter is not None and one.reporter.id == red.id
    assert one.room is not None and one.room.topic == "Tea"
    assert (one.report.reason, one.report.text) == ("spam", "loud")
    assert reports[red.id].room is None


async def test_reports_that_say_nothing_are_refused(store: Store, founder: Founder) -> None:
    red, blue = await founder.people(2)
    for whom, reason, text, code in (
        (red.id, "spam", "", "yourself"),
        ("m-none", "spam", "", "not_found"),
        (blue.id, "", "", "bad_reason"),
        (blue.id, "dislike", "", "bad_reason"),
        (blue.id, "spam", "x" * (REPORT_TEXT_MAX + 1), "bad_text"),
    ):
        with pytest.raises(Refused) as refused:
            async with store.begin() as tx:
                await moderation.report(tx, red.id, whom, reason, text, NOW)
        assert refused.value.code == code


async def test_nobody_buries_the_hosts_in_reports(store: Store, founder: Founder) -> None:
    red, blue, white = await founder.people(3)
    for _ in range(OPEN_REPORTS_EACH_MAX):
        await reported(store, red, blue)
    with pytest.raises(Refused) as refused:
        await reported(store, red, blue)
    assert refused.value.code == "too_many_reports"
    await reported(store, white, blue)


async def test_a_report_is_resolved_once(store: Store, founder: Founder) -> None:
    host = await founder.person("White", is_host=True)
    red, blue = await founder.people(2)
    report = await reported(store, red, blue)
    with pytest.raises(Refused) as refused:
        await resolve(store, host, report, "praised")
    assert refused.value.code == "bad_outcome"
    await resolve(store, host, report, "dismissed")
    async with store.begin() as tx:
        assert await moderation.open_reports(tx) == []
        kept = await tx.get_one(Report, report)
        assert (kept.outcome, kept.resolved_by, kept.resolved_at) == ("dismissed", host.id, NOW)
    for id, code in ((report, "resolved"), ("x-none", "not_found")):
        with pytest.raises(Refused) as refused:
            await resolve(store, host, id, "removed")
        assert refused.value.code == code
    assert await actions(store) == [("report.dismissed", blue.id)]


async def test_a_warning_reaches_the_reported_one(store: Store, founder: Founder) -> None:
    host = await founder.person("White", is_host=True)
    red, blue = await founder.people(2)
    await resolve(store, host, await reported(store, red, blue), "warned")
    async with store.begin() as tx:
        assert [one.kind for one in await notices.latest(tx, blue.id)] == ["warned"]
        assert await notices.latest(tx, red.id) == []


async def test_who_is_removed_is_out_everywhere_at_once(store: Store, founder: Founder) -> None:
    host = await founder.person("White", is_host=True)
    red, blue = await founder.people(2)
    async with store.begin() as tx:
        tx.add(Invitation(code="unused", inviter_id=blue.id, created_at=NOW))
        tx.add(
            Invitation(code="used", inviter_id=blue.id, created_at=NOW, used_by=red.id, used_at=NOW)
        )
    report = await reported(store, red, blue)
    with store.bus.listen({STANDING_TOPIC}) as listening:
        await resolve(store, host, report, "removed")
        assert (await anext(listening))[1] == {"member": blue.id, "standing": "removed"}
    async with store.begin() as tx:
        assert (await tx.get_one(Member, blue.id)).standing == "removed"
        assert await find(tx, blue.cookie, NOW) is None
        assert await find(tx, red.cookie, NOW) is not None
        assert (await tx.get_one(Invitation, "unused")).revoked_at == NOW
        assert (await tx.get_one(Invitation, "used")).revoked_at is None
    assert await actions(store) == [("report.removed", blue.id)]


async def test_a_report_about_who_is_gone_can_still_be_resolved(
    store: Store, founder: Founder
) -> None:
    host = await founder.person("White", is_host=True)
    red, blue = await founder.people(2)
    report = await reported(store, red, blue)
    await put_out(store, blue)
    await resolve(store, host, report, "removed")
    assert await actions(store) == [("report.removed", blue.id)]


async def test_hosts_of_the_club_are_not_removed_by_one_another(
    store: Store, founder: Founder
) -> None:
    host = await founder.person("White", is_host=True)
    other = await founder.person("Blue", is_host=True)
    for whom, code in ((other, "is_host"), (host, "yourself")):
        with pytest.raises(Refused) as refused:
            await remove(store, host, whom)
        assert refused.value.code == code
    assert await actions(store) == []


async def test_a_removal_is_logged_with_who_did_it(store: Store, founder: Founder) -> None:
    host = await founder.person("White", is_host=True)
    red = await founder.person("Red")
    await remove(store, host, red)
    async with store.begin() as tx:
        (line,) = await moderation.log(tx)
    assert line.actor is not None and line.actor.id == host.id
    assert line.subject is not None and line.subject.id == red.id
    assert (line.entry.action, line.entry.at) == ("member.removed", NOW)
    with pytest.raises(Refused) as refused:
        await remove(store, host, red)
    assert refused.value.code == "not_found"
