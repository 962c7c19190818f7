"""What a member can be interested in: a fixed catalogue, and who chose what of it.

A catalogue instead of free words, because the hall ranks rooms by what their interests and a
member's have in common: two spellings of one thing would never meet. Slugs are stored and never
change their meaning; titles are texts of the catalogue of translations.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.refusal import N_, Refused
from deploy.club.store import MemberInterest

# Of a person; more of them would rank every room alike.
INTERESTS_MAX = 20


class Interest(NamedTuple):
    """One interest: `slug` is stored and part of hooks, `title` is the English text."""

    slug: str
    title: str


class Group(NamedTuple):
    """Interests that are offered under one heading."""

    title: str
    interests: tuple[Interest, ...]


GROUPS: tuple[Group, ...] = (
    Group(
        N_("Arts"),
        (
            Interest("books", N_("Books")),
            Interest("film", N_("Film")),
            Interest("music", N_("Music")),
            Interest("painting", N_("Painting and drawing")),
            Interest("photography", N_("Photography")),
            Interest("theatre", N_("Theatre")),
            Interest("writing", N_("Writing")),
        ),
    ),
    Group(
        N_("Making"),
        (
            Interest("cooking", N_("Cooking and baking")),
            Interest("crafts", N_("Crafts")),
            Interest("design", N_("Design")),
            Interest("gardening", N_("Gardening")),
            Interest("electronics", N_("Electronics")),
        ),
    ),
    Group(
        N_("Knowledge"),
        (
            Interest("astronomy", N_("Astronomy")),
            Interest("biology", N_("Biology")),
            Interest("climate", N_("Climate")),
            Interest("history", N_("History")),
            Interest("languages", N_("Languages")),
            Interest("mathematics", N_("Mathematics")),
            Interest("philosophy", N_("Philosophy")),
            Interest("psychology", N_("Psychology")),
        ),
    ),
    Group(
        N_("Technology"),
        (
            Interest("audio", N_("Audio")),
            Interest("games", N_("Games")),
            Interest("hardware", N_("Hardware")),
            Interest("open-source", N_("Open source")),
            Interest("programming", N_("Programming")),
            Interest("security", N_("Security and privacy")),
        ),
    ),
    Group(
        N_("Work and society"),
        (
            Interest("education", N_("Education")),
            Interest("founding", N_("Founding")),
            Interest("journalism", N_("Journalism")),
            Interest("law", N_("Law")),
            Interest("money", N_("Money")),
            Interest("neighbourhood", N_("Neighbourhood")),
            Interest("politics", N_("Politics")),
        ),
    ),
    Group(
        N_("Life"),
        (
            Interest("animals", N_("Animals")),
            Interest("comedy", N_("Comedy")),
            Interest("cycling", N_("Cycling")),
            Interest("families", N_("Families")),
            Interest("football", N_("Football")),
            Interest("health", N_("Health")),
            Interest("running", N_("Running")),
            Interest("travel", N_("Travel")),
        ),
    ),
)

INTERESTS: dict[str, Interest] = {
    interest.slug: interest for group in GROUPS for interest in group.interests
}


def known(slugs: Iterable[str]) -> frozenset[str]:
    """Those of `slugs` that the catalogue has; Refused `too_many_interests` above the limit."""
    chosen = frozenset(slug for slug in slugs if slug in INTERESTS)
    if len(chosen) > INTERESTS_MAX:
        text = N_("Please choose at most %(limit)d interests.")
        raise Refused("too_many_interests", 400, text, limit=INTERESTS_MAX)
    return chosen


def titles(slugs: Iterable[str]) -> tuple[Interest, ...]:
    """The interests of `slugs` in the catalogue's order; unknown slugs are left out."""
    wanted = frozenset(slugs)
    return tuple(interest for slug, interest in INTERESTS.items() if slug in wanted)


async def interests_of(tx: AsyncSession, member_id: str) -> frozenset[str]:
    """The slugs that the member has chosen."""
    rows = await tx.scalars(
        select(MemberInterest.slug).where(MemberInterest.member_id == member_id)
    )
    return frozenset(rows)


async def choose_interests(
    tx: AsyncSession, member_id: str, slugs: Iterable[str]
) -> frozenset[str]:
    """Replaces what the member has chosen; the slugs that are stored now.

    Refused `too_many_interests` above INTERESTS_MAX; unknown slugs are dropped.
    """
    wanted = known(slugs)
    present = await interests_of(tx, member_id)
    gone = present - wanted
    if gone:
        await tx.execute(
            delete(MemberInterest).where(
                MemberInterest.member_id == member_id, MemberInterest.slug.in_(gone)
            )
        )
    tx.add_all(MemberInterest(member_id=member_id, slug=slug) for slug in wanted - present)
    return wanted
