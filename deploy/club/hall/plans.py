"""What somebody wants a room to be, read from a form and checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import get_args

from deploy.club.people.interests import INTERESTS
from deploy.club.refusal import N_, Refused
from deploy.club.store import Visibility

# A topic must fit a card on a phone; the table holds 120.
TOPIC_CHARS_MAX = 100
ABOUT_CHARS_MAX = 1000
# More interests would put every room before everybody.
ROOM_INTERESTS_MAX = 5
# Beyond half a year nobody knows what they will do.
SCHEDULE_AHEAD_MAX = timedelta(days=183)
# Hosts share all power in a room; more than a handful is nobody's room.
HOSTS_MAX = 6
# As `tokens.new_token` makes them.
FORM_CHARS_MAX = 43
# Each gets a notice; more are a public room.
INVITED_MAX = 50


@dataclass(frozen=True, slots=True)
class Plan:
    """A room that somebody wants. `hosts` are further hosts beside who plans it."""

    topic: str
    about: str = ""
    visibility: Visibility = "open"
    interests: frozenset[str] = frozenset()  # slugs
    scheduled_at: datetime | None = None  # None: now
    hosts: frozenset[str] = frozenset()  # members' ids
    invited: frozenset[str] = frozenset()  # members' ids
    language: str = "en"
    form: str = ""  # a secret of the form that asks: sent twice, it makes one room


def read_plan(
    fields: Mapping[str, str], chosen: Mapping[str, Collection[str]], language: str, now: datetime
) -> Plan:
    """The plan that a form asks for: `fields` are single values, `chosen` those of checkboxes
    (`interests`, `hosts`, `invited`). Raises Refused and names what is wrong.
    """
    return Plan(
        topic=_topic(fields.get("topic", "")),
        about=_about(fields.get("about", "")),
        visibility=_visibility(fields.get("visibility", "open")),
        interests=_interests(chosen.get("interests", ())),
        scheduled_at=read_when(fields.get("when", ""), fields.get("when_utc", ""), now),
        hosts=_people(chosen.get("hosts", ()), HOSTS_MAX - 1),
        invited=_people(chosen.get("invited", ()), INVITED_MAX),
        language=language,
        form=fields.get("form", "")[:FORM_CHARS_MAX],
    )


def _printable(text: str) -> str:
    """Without what would not be seen or would turn the text around; line ends stay."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    # The zero-width joiner holds emoji together.
    return "".join(c for c in text if c in "\n\u200d" or c.isprintable())


def _topic(text: str) -> str:
    topic = " ".join(_printable(text).split())
    if not topic:
        raise Refused("bad_topic", 400, N_("Please say what the room is about."))
    if len(topic) > TOPIC_CHARS_MAX:
        text = N_("A topic has at most %(limit)d characters.")
        raise Refused("bad_topic", 400, text, limit=TOPIC_CHARS_MAX)
    return topic


def _about(text: str) -> str:
    about = _printable(text).strip()
    if len(about) > ABOUT_CHARS_MAX:
        text = N_("The description has at most %(limit)d characters.")
        raise Refused("bad_about", 400, text, limit=ABOUT_CHARS_MAX)
    return about


def _visibility(word: str) -> Visibility:
    for visibility in get_args(Visibility):
        if word == visibility:
            chosen: Visibility = visibility
            return chosen
    raise Refused("bad_visibility", 400, N_("Please choose who may come."))


def _interests(slugs: Collection[str]) -> frozenset[str]:
    known = frozenset(slug for slug in slugs if slug in INTERESTS)
    if len(known) > ROOM_INTERESTS_MAX:
        text = N_("A room has at most %(limit)d interests.")
        raise Refused("too_many_interests", 400, text, limit=ROOM_INTERESTS_MAX)
    return known


def _people(ids: Collection[str], limit: int) -> frozenset[str]:
    people = frozenset(ids) - {""}
    if len(people) > limit:
        raise Refused(
            "too_many_people", 400, N_("Please choose at most %(limit)d people."), limit=limit
        )
    return people


def read_when(local: str, exact: str, now: datetime) -> datetime | None:
    """When a room shall open: `exact` is what the page's script made of the local time, in UTC;
    without it `local` is in UTC itself. None for neither. Raises Refused `bad_when`.
    """
    text = exact.strip() or local.strip()
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused("bad_when", 400, N_("That is no time.")) from None
    moment = moment.replace(second=0, microsecond=0)
    # The minute that is running is meant by who chose it a moment ago.
    if moment < now.replace(second=0, microsecond=0):
        raise Refused("bad_when", 400, N_("That time has passed."))
    if moment > now + SCHEDULE_AHEAD_MAX:
        raise Refused("bad_when", 400, N_("That is more than half a year from now."))
    return moment
