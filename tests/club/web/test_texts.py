"""Every text of the site is there in every language, with the same places to fill."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from deploy.club.web.locales import LOCALES, choose_locale, translations
from deploy.club.web.texts import MsgId, catalogue, missing, texts

OTHERS = [locale for locale in LOCALES if locale != "en"]
PLACES = re.compile(r"%\((\w+)\)[sd]")


def places(text: MsgId) -> list[set[str]]:
    """The names to fill in, of each form of a text."""
    return [set(PLACES.findall(form)) for form in ([text] if isinstance(text, str) else text)]


def test_texts_are_found_in_sources_and_templates() -> None:
    folders = Counter(found.path.partition("/")[0] for found in texts())
    assert folders["templates"] > 50
    assert folders["web"] > 5


@pytest.mark.parametrize("locale", OTHERS)
def test_no_text_is_missing(locale: str) -> None:
    assert [f"{found.path}:{found.line}: {found.id}" for found in missing(locale)] == []


@pytest.mark.parametrize("locale", OTHERS)
def test_no_text_is_left_over(locale: str) -> None:
    used = {found.id for found in texts()}
    assert [id for id in catalogue(locale) if id not in used] == []


@pytest.mark.parametrize("locale", OTHERS)
def test_a_translation_has_the_places_of_its_text(locale: str) -> None:
    for id, said in catalogue(locale).items():
        wanted = set.union(*places(id))
        assert set.union(*places(said)) <= wanted, id
        assert places(said)[-1] == places(id)[-1], id


def test_the_best_language_of_a_browser_is_chosen() -> None:
    assert choose_locale(None, "fr, de-CH;q=0.8, en;q=0.3") == "de"
    assert choose_locale(None, "fr, en-US;q=0.9, de;q=0.1") == "en"
    assert choose_locale(None, "de;q=0, en") == "en"
    assert choose_locale(None, "") == "en"
    assert choose_locale("de", "en") == "de"
    assert choose_locale("../de", "en;q=x, de") == "de"


def test_a_text_is_translated() -> None:
    assert translations("de").gettext("Sign in first.") == "Melde dich zuerst an."
    assert translations("en").gettext("Sign in first.") == "Sign in first."
