"""Forms become plans, or a sentence that says what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.club.hall.plans import HOSTS_MAX, ROOM_INTERESTS_MAX, Plan, read_plan, read_when
from deploy.club.people.interests import INTERESTS
from deploy.club.refusal import Refused

NOW = datetime(2030, 5, 1, 20, 0, 30, tzinfo=UTC)


def refused(fields: dict[str, str], **chosen: list[str]) -> str:
    with pytest.raises(Refused) as caught:
        read_plan({"topic": "Bees", **fields}, chosen, "en", NOW)
    assert caught.value.status == 400
    return caught.value.code


def test_a_topic_is_enough_for_an_open_room_at_once() -> None:
    assert read_plan({"topic": "Bees"}, {}, "de", NOW) == Plan(topic="Bees", language="de")


def test_everything_that_can_be_chosen() -> None:
    slugs = sorted(INTERESTS)[:2]
    plan = read_plan(
        {
            "topic": "  Bees \n at\tnight ",
            "about": "Two\r\nlines\x07 ",
            "visibility": "followers",
            "when_utc": "2030-05-02T18:30:00Z",
            "when": "2030-05-02T20:30",
        },
        {"interests": [*slugs, "nonsense"], "hosts": ["m-blue", ""], "invited": ["m-green"]},
        "en",
        NOW,
    )
    assert plan == Plan(
        topic="Bees at night",
        about="Two\nlines",
        visibility="followers",
        interests=frozenset(slugs),
        scheduled_at=datetime(2030, 5, 2, 18, 30, tzinfo=UTC),
        hosts=frozenset({"m-blue"}),
        invited=frozenset({"m-green"}),
    )


def test_what_a_plan_cannot_be() -> None:
    assert refused({"topic": " \u202e\n "}) == "bad_topic"
    assert refused({"topic": "x" * 101}) == "bad_topic"
    assert refused({"about": "x" * 1001}) == "bad_about"
    assert refused({"visibility": "secret"}) == "bad_visibility"
    assert (
        refused({}, interests=sorted(INTERESTS)[: ROOM_INTERESTS_MAX + 1]) == "too_many_interests"
    )
    assert refused({}, hosts=[f"m-{n}" for n in range(HOSTS_MAX)]) == "too_many_people"
    assert refused({}, invited=[f"m-{n}" for n in range(51)]) == "too_many_people"


@pytest.mark.parametrize(
    ("local", "exact", "expected"),
    [
        ("", "", None),
        ("2030-05-02T20:30", "", datetime(2030, 5, 2, 20, 30, tzinfo=UTC)),
        ("2030-05-02T20:30", "2030-05-02T18:30:00Z", datetime(2030, 5, 2, 18, 30, tzinfo=UTC)),
        ("", "2030-05-02T20:30:00+02:00", datetime(2030, 5, 2, 18, 30, tzinfo=UTC)),
        ("2030-05-01T20:00", "", NOW.replace(second=0)),
    ],
)
def test_when(local: str, exact: str, expected: datetime | None) -> None:
    assert read_when(local, exact, NOW) == expected


@pytest.mark.parametrize(
    "text",
    ["2030-05-01T19:59", "2031-05-01T20:00", "tomorrow", "9999-12-31T23:59:59-14:00", "0001-01-01"],
)
def test_times_that_no_room_can_have(text: str) -> None:
    with pytest.raises(Refused) as caught:
        read_when("", text, NOW)
    assert caught.value.code == "bad_when"


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_is_more_than_refused(local: str, exact: str) -> None:
    try:
        moment = read_when(local, exact, NOW)
    except Refused:
        return
    assert moment is None or timedelta(minutes=-1) < moment - NOW <= timedelta(days=183)
