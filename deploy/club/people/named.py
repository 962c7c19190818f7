"""The member that an address names, or a refusal; and the names that members may have."""

from __future__ import annotations

import unicodedata

from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.refusal import N_, Refused
from deploy.club.store import Member

# Longer names do not fit below a face on a phone.
NAME_CHARS_MAX = 40
BIO_CHARS_MAX = 500
# Categories of Unicode that are no part of a name: control and format characters (which could turn
# a line's direction or be invisible), surrogates, private use, unassigned, line separators.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Two that are needed inside words of some scripts and of emoji.
_JOINERS = frozenset("\u200c\u200d")


async def named(tx: AsyncSession, member_id: str, *, is_locked: bool = False) -> Member:
    """The member of the club with this id.

    `is_locked`: whoever changes what belongs to this member waits for others who do, so that a
    button pressed twice at once is pressed once and then again. Refused `not_found` for who never
    was, is gone, was removed or still waits: they look the same.
    """
    if is_locked:
        member = await tx.get(
            Member,
            member_id,
            populate_existing=True,
            # Rows that point to the member can still be written: two who follow each other at the
            # same moment do not wait for one another.
            with_for_update={"key_share": True},
        )
    else:
        member = await tx.get(Member, member_id)
    if member is None or member.deleted_at is not None or member.standing != "member":
        raise Refused("not_found", 404, N_("There is nobody here."))
    return member


def clean_name(text: str) -> str:
    """A name as it is shown: one line, single spaces, nothing invisible.

    Refused `bad_name` when nothing is left or it is longer than NAME_CHARS_MAX.
    """
    name = " ".join(_visible(text).split())
    if not any(unicodedata.category(char)[0] in "LNSP" for char in name):
        raise Refused("bad_name", 400, N_("Please tell a name."))
    if len(name) > NAME_CHARS_MAX:
        text = N_("This name is too long: %(limit)d characters at most.")
        raise Refused("bad_name", 400, text, limit=NAME_CHARS_MAX)
    return name


def clean_bio(text: str) -> str:
    """A bio as it is kept: its own lines, no more than one empty one in a row.

    Refused `bad_bio` when it is longer than BIO_CHARS_MAX.
    """
    lines: list[str] = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        line = _visible(line).strip()
        if line or (lines and lines[-1]):
            lines.append(line)
    bio = "\n".join(lines).strip()
    if len(bio) > BIO_CHARS_MAX:
        text = N_("This text is too long: %(limit)d characters at most.")
        raise Refused("bad_bio", 400, text, limit=BIO_CHARS_MAX)
    return bio


def _visible(text: str) -> str:
    spaced = text.replace("\t", " ").replace("\n", " ")
    normal = unicodedata.normalize("NFC", spaced)
    return "".join(
        char for char in normal if char in _JOINERS or unicodedata.category(char) not in _UNSEEN
    )
