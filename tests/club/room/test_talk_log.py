"""Who spoke how long: counted once, whoever counts it and whoever is killed meanwhile."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deploy.club.room import seats, talk_log
from deploy.club.room.talk_log import SPELLS_MAX, Spell, Spoken, TalkClock, spoken_after
from deploy.club.settings import Settings
from deploy.club.store import Store
from tests.club.fake_daemon import FakeDaemon
from tests.club.room.house import House, Visit, open_house, until

T0 = 1_000_000


def due(clock: TalkClock, at: int, room: str = "r") -> list[Spell]:
    """What is to be written when the last event, in some room, was at `at`."""
    clock.hear("elsewhere", [], at)
    return clock.due(room)


def test_speech_is_counted_from_the_first_to_the_last_moment() -> None:
    clock = TalkClock()
    clock.hear("r", ["red"], T0)
    clock.hear("r", ["red", "blue"], T0 + 1_000)
    clock.hear("r", ["blue"], T0 + 4_000)
    clock.hear("r", [], T0 + 5_000)
    spoken = spoken_after(due(clock, T0 + 6_000), 0)
    assert spoken == {"red": Spoken(4_000, 1), "blue": Spoken(4_000, 1)}
    assert clock.rooms() == ["r"], "a breath later it may go on"
    assert due(clock, T0 + 60_000) == []
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
    assert spoken_after(due(clock, T0 + 10_000), 0) == {"red": Spoken(4_000, 2)}


def test_who_speaks_on_is_counted_in_parts_that_are_one_stint() -> None:
    clock = TalkClock()
    clock.hear("r", ["red"], T0)
    first = spoken_after(due(clock, T0 + 5_000), 0)
    second = spoken_after(due(clock, T0 + 8_000), T0 + 5_000)
    assert (first, second) == ({"red": Spoken(5_000, 1)}, {"red": Spoken(3_000, 0)})


def test_what_another_process_has_counted_is_not_counted_again() -> None:
    spells = [Spell("red", T0, T0 + 10_000, True), Spell("blue", T0 + 7_000, T0 + 9_000, True)]
    assert spoken_after(spells, T0 + 6_000) == {"red": Spoken(4_000, 0), "blue": Spoken(2_000, 1)}
    assert spoken_after(spells, T0 + 10_000) == {}


def test_what_could_not_be_written_is_due_again_and_bounded() -> None:
    clock = TalkClock()
    clock.hear("r", ["red"], T0)
    spells = due(clock, T0 + 1_000)
    clock.give_back("r", spells)
    clock.hear("r", [], T0 + 2_000)
    assert spoken_after(due(clock, T0 + 2_000), 0) == {"red": Spoken(2_000, 1)}
    many = [Spell("red", at, at + 1, False) for at in range(SPELLS_MAX + 10)]
    clock.give_back("r", many)
    assert len(due(clock, T0 + 3_000)) == SPELLS_MAX


def test_a_clock_that_goes_back_counts_nothing_backwards() -> None:
    clock = TalkClock()
    clock.hear("r", ["red"], T0)
    due(clock, T0 + 5_000)
    clock.hear("r", [], T0 + 4_500)
    assert spoken_after(due(clock, T0 + 6_000), T0 + 5_000) == {}


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
            add(spoken_after(due(parts, at), counted))
            counted = at
    at += 1
    expected = spoken_after(due(whole, at), 0) if whole.rooms() else {}
    if parts.rooms():
        add(spoken_after(due(parts, at), counted))
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
        await talk_log.write(tx, room, due(one, T0 + 5_000, room), T0 + 5_000)
    async with store.begin() as tx:
        await talk_log.write(tx, room, due(other, T0 + 7_000, room), T0 + 7_000)
    one.hear(room, [], T0 + 8_000)
    async with store.begin() as tx:
        await talk_log.write(tx, room, due(one, T0 + 9_000, room), T0 + 9_000)
        await talk_log.write(tx, room, [Spell(red, T0, T0 + 1_000, True)], T0 + 1_000)  # late
    async with store.begin() as tx:
        await talk_log.write(tx, room, [Spell(red, T0 + 2_000, T0 + 4_000, True)], T0 + 9_500)
        await talk_log.write(tx, "r-unknown", [], T0)
    async with store.begin() as tx:
        ((talk, member),) = await talk_log.log_of(tx, room)
    assert (talk.spoken_ms, talk.stints, member.name) == (8_000, 1, "Red")


def test_what_was_missed_is_silence_and_not_speech() -> None:
    clock = TalkClock()
    clock.hear("r", ["red"], T0)
    clock.hear("s", ["blue"], T0 + 1_000)
    clock.fall_silent()
    assert spoken_after(due(clock, T0 + 9_000), 0) == {"red": Spoken(1_000, 1)}


async def test_the_hosts_read_who_spoke(house: House, daemon: FakeDaemon, host: Visit) -> None:
    guest = await house.visit("Blue", host.room)
    daemon.speak(host.room, host.id)
    daemon.now_ms += 65_000
    daemon.speak(host.room)
    await until(lambda: house.live.keeping.talk.at_ms == daemon.now_ms)
    page = await host.who.get(f"/rooms/{host.room}/log")
    assert page.status == 200
    assert f'data-member="{host.id}"' in page.text and f'data-member="{guest.id}"' in page.text
    assert "1:05" in page.text and "0:00" in page.text
    assert (await guest.who.get(f"/rooms/{host.room}/log")).status == 403
    await host.act("end")
    assert (await host.who.get(f"/rooms/{host.room}/log")).status == 200


async def test_speech_while_the_club_is_away_is_counted_when_it_is_back(
    store: Store, settings: Settings, daemon: FakeDaemon
) -> None:
    async with open_house(store, settings, daemon) as house:
        who = await house.site.signed_in("Red")
        host = await house.visit(who, await house.room(who))
        daemon.speak(host.room, host.id)
        daemon.now_ms += 10_000
        daemon.speak(host.room)
        await until(lambda: house.live.keeping.talk.at_ms == daemon.now_ms)
    daemon.now_ms += 5_000
    daemon.speak(host.room, host.id)
    daemon.now_ms += 20_000
    daemon.speak(host.room)
    async with open_house(store, settings, daemon) as house:
        await until(lambda: house.live.keeping.talk.at_ms == daemon.now_ms)
        await house.keep()
        async with store.begin() as tx:
            ((talk, _),) = await talk_log.log_of(tx, host.room)
        assert (talk.spoken_ms, talk.stints) == (30_000, 2)
