"""What may be a name or a bio. Pure."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.club.people.interests import GROUPS, INTERESTS, INTERESTS_MAX, known, titles
from deploy.club.people.named import BIO_CHARS_MAX, NAME_CHARS_MAX, clean_bio, clean_name
from deploy.club.refusal import Refused


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Red", "Red"),
        ("  Red \t of\n the   house ", "Red of the house"),
        ("e\u0301te\u0301", "\u00e9t\u00e9"),
        ("Red\u202eeulB", "RedeulB"),
        ("Red\u0000\u200b", "Red"),
        ("\u674e", "\u674e"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        ("x" * NAME_CHARS_MAX, "x" * NAME_CHARS_MAX),
    ],
)
def test_a_name_is_one_line_of_what_can_be_seen(text: str, name: str) -> None:
    assert clean_name(text) == name


@pytest.mark.parametrize(
    "text", ["", "   ", "\u200b", "\u202e", "\u200d", "x" * (NAME_CHARS_MAX + 1)]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        clean_name(text)
    assert refused.value.code == "bad_name"


@given(st.text(max_size=60))
def test_cleaning_a_name_again_changes_nothing(text: str) -> None:
    try:
        name = clean_name(text)
    except Refused:
        return
    assert clean_name(name) == name
    assert not any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in name)


def test_a_bio_keeps_its_lines_and_one_empty_one_between() -> None:
    assert clean_bio("\r\n one \r\n\r\n\r\n\r\ntwo\rthree\u202e\n\n") == "one\n\ntwo\nthree"


def test_a_bio_that_is_too_long_is_refused() -> None:
    assert clean_bio("x" * BIO_CHARS_MAX) == "x" * BIO_CHARS_MAX
    with pytest.raises(Refused) as refused:
        clean_bio("x" * (BIO_CHARS_MAX + 1))
    assert refused.value.code == "bad_bio"


def test_no_interest_is_in_the_catalogue_twice() -> None:
    listed = [interest for group in GROUPS for interest in group.interests]
    assert len({slug for slug, _ in listed}) == len({title for _, title in listed}) == len(listed)
    assert all(slug.isascii() and len(slug) <= 40 for slug, _ in listed)


def test_unknown_interests_are_dropped_and_too_many_refused() -> None:
    assert known(["music", "music", "", "<b>"]) == {"music"}
    assert len(known(list(INTERESTS)[:INTERESTS_MAX])) == INTERESTS_MAX
    with pytest.raises(Refused) as refused:
        known(list(INTERESTS)[: INTERESTS_MAX + 1])
    assert refused.value.code == "too_many_interests"


def test_interests_are_told_in_the_order_of_the_catalogue() -> None:
    assert [one.slug for one in titles({"travel", "books", "gone"})] == ["books", "travel"]
