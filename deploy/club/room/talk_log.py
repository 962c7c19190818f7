"""Who spoke how long, from the daemon's `speakers.changed`.

`TalkClock` is pure and counts for one process. Several processes follow the same events, and any of
them may be killed: `write` therefore adds to the database only what lies behind the moment up to
which the room was counted already, and moves that moment on, in one transaction. The moments are
those of the daemon's clock in its events, the same for everybody, and `hearing` begins with all
events that the daemon still holds. So nothing is counted twice, and nothing is missed unless the
club is away for longer than that.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.store import Member, Room, Talk

# A pause for breath does not end a stint.
PAUSE_MS = 3_000
# What is kept for the next writing; a process that cannot write for longer than a room of talkers
# fills this with forgets the oldest.
SPELLS_MAX = 5_000


@dataclass(frozen=True, slots=True)
class Spell:
    """Someone spoke from `start` to `end`, unix ms; `is_new_stint` after a longer pause."""

    member_id: str
    start: int
    end: int
    is_new_stint: bool


@dataclass(slots=True)
class _Floor:
    since: dict[str, tuple[int, bool]] = field(default_factory=dict)  # who speaks since when
    ended: dict[str, int] = field(default_factory=dict)  # when somebody last stopped
    spells: list[Spell] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Spoken:
    """What somebody adds to what is counted."""

    ms: int
    stints: int


class TalkClock:
    """Rooms in which somebody has spoken and that were not written down to the end. `at_ms` is the
    moment of the last event: what comes after it is not known yet.
    """

    def __init__(self) -> None:
        self.at_ms = 0
        self._floors: dict[str, _Floor] = {}

    def rooms(self) -> list[str]:
        """Rooms with something to write."""
        return list(self._floors)

    def hear(self, room_id: str, speaking: Collection[str], at_ms: int) -> None:
        """From `at_ms` on these speak, and nobody else."""
        self.at_ms = max(self.at_ms, at_ms)
        floor = self._floors.get(room_id)
        if floor is None:
            if not speaking:
                return
            floor = self._floors[room_id] = _Floor()
        for member_id in set(floor.since) - set(speaking):
            self._stop(floor, member_id, at_ms)
        for member_id in speaking:
            if member_id not in floor.since:
                pause_ms = at_ms - floor.ended.get(member_id, at_ms - PAUSE_MS)
                floor.since[member_id] = (at_ms, pause_ms >= PAUSE_MS)

    def fall_silent(self) -> None:
        """Events were missed: nobody is known to have spoken after the last one."""
        for room_id in self.rooms():
            self.hear(room_id, (), self.at_ms)

    def due(self, room_id: str) -> list[Spell]:
        """All that was spoken until `at_ms` and not yet given; who speaks on begins anew there."""
        floor, at_ms = self._floors[room_id], self.at_ms
        for member_id in list(floor.since):
            self._stop(floor, member_id, at_ms)
            floor.since[member_id] = (max(at_ms, floor.ended[member_id]), False)
        spells, floor.spells = floor.spells, []
        floor.ended = {one: end for one, end in floor.ended.items() if end > at_ms - PAUSE_MS}
        if not floor.since and not floor.ended:
            del self._floors[room_id]
        return spells

    def give_back(self, room_id: str, spells: list[Spell]) -> None:
        """They could not be written; the next `due` has them again."""
        floor = self._floors.setdefault(room_id, _Floor())
        floor.spells = (spells + floor.spells)[-SPELLS_MAX:]

    def _stop(self, floor: _Floor, member_id: str, at_ms: int) -> None:
        start, is_new = floor.since.pop(member_id)
        end = max(start, at_ms)
        floor.ended[member_id] = end
        if end > start or is_new:
            floor.spells.append(Spell(member_id, start, end, is_new))
            del floor.spells[:-SPELLS_MAX]


def spoken_after(spells: Collection[Spell], counted_ms: int) -> dict[str, Spoken]:
    """By member, what lies behind the moment up to which was counted already."""
    total: dict[str, Spoken] = {}
    for spell in spells:
        ms = max(0, spell.end - max(spell.start, counted_ms))
        is_new = spell.is_new_stint and spell.start >= counted_ms
        if ms or is_new:
            before = total.get(spell.member_id, Spoken(0, 0))
            total[spell.member_id] = Spoken(before.ms + ms, before.stints + is_new)
    return total


async def write(tx: AsyncSession, room_id: str, spells: Collection[Spell], until_ms: int) -> None:
    """Add what nobody has added yet. Nothing for a room that the club does not know."""
    room = await tx.get(Room, room_id, with_for_update=True, populate_existing=True)
    if room is None:
        return
    counted = room.talk_counted_until
    counted_ms = round(counted.timestamp() * 1000) if counted else 0
    if until_ms <= counted_ms:
        return
    for member_id, spoken in spoken_after(spells, counted_ms).items():
        await tx.execute(
            update(Talk)
            .where(Talk.room_id == room_id, Talk.member_id == member_id)
            .values(spoken_ms=Talk.spoken_ms + spoken.ms, stints=Talk.stints + spoken.stints)
        )
    room.talk_counted_until = datetime.fromtimestamp(until_ms / 1000, UTC)


async def log_of(tx: AsyncSession, room_id: str) -> list[tuple[Talk, Member]]:
    """Everybody who was in the room, who spoke longest first."""
    rows = await tx.execute(
        select(Talk, Member)
        .join(Member, Member.id == Talk.member_id)
        .where(Talk.room_id == room_id)
        .order_by(Talk.spoken_ms.desc(), Talk.joined_at, Talk.member_id)
    )
    return [(talk, member) for talk, member in rows]
