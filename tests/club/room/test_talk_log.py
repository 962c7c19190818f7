"""Who spoke how long: counted once, whoever counts it and whoever is killed meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from deploy.club.room import seats, talk_log
from deploy.club.room.talk_log import SPELLS_MAX, Spell, Spoken, TalkClock, spoken_after
from deploy.club.store import Store
from tests.club.fake_daemon import FakeDaemon
from tests.club.room.house import House, Visit

T0 = 1_000_000


def test_speech_is_counted_from_the_first_to_the_last_moment() -> None:
    clock = TalkClock()
    clock.hear("r", ["red"], T0)
    clock.hear("r", ["red", "blue"], T0 + 1_000)
    clock.hear("r", ["blue"], T0 + 4_000)
    clock.hear("r", [], T0 + 5_000)
    spoken = spoken_after(clock.due("r", T0 + 6_000), 0)
    assert spoken == {"red": Spoken(4_000, 1), "blue": Spoken(4_000, 1)}
    assert clock.due("r", T0 + 60_000) == []
    assert clock.rooms() == []


def test_a_breath_does_not_end_a_stint_and_a_longer_pause_does() -> None:
    clock = TalkClock()
    for at, speaking in (
        (0, ["red"]),
        (2_000, []),
        (4_000, ["red"]),
        (5_000, []),
        (9_000, ["red"]),
    ):
        clock.hear("r", speaking, T0 + at)
    assert spoken_after(clock.due("r", T0 + 10_000), 0) == {"red": Spoken(4_000, 2)}


def test_who_speaks_on_is_counted_in_parts_that_are_one_stint() -> None:
    clock = TalkClock()
    clock.hear("r", ["red"], T0)
    first = spoken_after(clock.due("r", T0 + 5_000), 0)
    second = spoken_after(clock.due("r", T0 + 8_000), T0 + 5_000)
    assert (first, second) == ({"red": Spoken(5_000, 1)}, {"red": Spoken(3_000, 0)})


def test_what_another_process_has_counted_is_not_counted_again() -> None:
    spells = [Spell("red", T0, T0 + 10_000, True), Spell("blue", T0 + 7_000, T0 + 9_000, True)]
    assert spoken_after(spells, T0 + 6_000) == {"red": Spoken(4_000, 0), "blue": Spoken(2_000, 1)}
    assert spoken_after(spells, T0 + 10_000) == {}


def test_what_could_not_be_written_is_due_again_and_bounded() -> None:
    clock = TalkClock()
    clock.hear("r", ["red"], T0)
    spells = clock.due("r", T0 + 1_000)
    clock.give_back("r", spells)
    clock.hear("r", [], T0 + 2_000)
    assert spoken_after(clock.due("r", T0 + 2_000), 0) == {"red": Spoken(2_000, 1)}
    many = [Spell("red", at, at + 1, False) for at in range(SPELLS_MAX + 10)]
    clock.give_back("r", many)
    assert len(clock.due("r", T0 + 3_000)) == SPELLS_MAX


def test_a_clock_that_is_ahead_of_the_daemons_counts_nothing_backwards() -> None:
    clock = TalkClock()
    clock.hear("r", ["red"], T0)
    clock.due("r", T0 + 5_000)
    clock.hear("r", [], T0 + 4_500)
    assert spoken_after(clock.due("r", T0 + 6_000), T0 + 5_000) == {}


@given(st.lists(st.tuples(st.integers(1, 4_000), st.sets(st.sampled_from("ab"))), max_size=30))
def test_counting_in_any_parts_gives_the_same_sum(steps: list[tuple[int, set[str]]]) -> None:
    whole, parts = TalkClock(), TalkClock()
    at, counted = T0, 0
    sums: dict[str, Spoken] = {}

    def add(spoken: dict[str, Spoken]) -> None:
        for one, more in spoken.items():
            old = sums.get(one, Spoken(0, 0))
            sums[one] = Spoken(old.ms + more.ms, old.stints + more.stints)

    for index, (pause, speaking) in enumerate(steps):
        at += pause
        whole.hear("r", speaking, at)
        parts.hear("r", speaking, at)
        if index % 3 == 2 and "r" in parts.rooms():
            add(spoken_after(parts.due("r", at), counted))
            counted = at
    at += 1
    expected = spoken_after(whole.due("r", at), 0) if whole.rooms() else {}
    if parts.rooms():
        add(spoken_after(parts.due("r", at), counted))
    assert sums == expected


async def _room(store: Store, house: House) -> tuple[str, str]:
    who = await house.site.signed_in("Red")
    room = await house.room(who)
    async with store.begin() as tx:
        await seats.came(tx, room, who.id, house.clock())
    return room, who.id


async def test_two_processes_write_everything_once(store: Store, house: House) -> None:
    room, red = await _room(store, house)
    one, other = TalkClock(), TalkClock()
    for clock in (one, other):
        clock.hear(room, [red], T0)
    async with store.begin() as tx:
        await talk_log.write(tx, room, one.due(room, T0 + 5_000), T0 + 5_000)
    async with store.begin() as tx:
        await talk_log.write(tx, room, other.due(room, T0 + 7_000), T0 + 7_000)
    one.hear(room, [], T0 + 8_000)
    async with store.begin() as tx:
        await talk_log.write(tx, room, one.due(room, T0 + 9_000), T0 + 9_000)
        await talk_log.write(tx, "r-unknown", [], T0)
    async with store.begin() as tx:
        ((talk, member),) = await talk_log.log_of(tx, room)
    assert (talk.spoken_ms, talk.stints, member.name) == (8_000, 1, "Red")


async def test_the_hosts_read_who_spoke(house: House, daemon: FakeDaemon, host: Visit) -> None:
    guest = await house.visit("Blue", host.room)
    daemon.speak(host.room, host.id)
    await host.told("speakers", speakers=[{"id": host.id, "level": 21}])
    house.clock.now = datetime.now(UTC) + timedelta(seconds=65)
    page = await host.who.get(f"/rooms/{host.room}/log")
    assert page.status == 200
    assert f'data-member="{host.id}"' in page.text
    assert "1:05" in page.text  # the daemon's clock runs on
    assert (await guest.who.get(f"/rooms/{host.room}/log")).status == 403
    await host.act("end")
    assert (await host.who.get(f"/rooms/{host.room}/log")).status == 200
