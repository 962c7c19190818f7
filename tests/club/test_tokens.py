"""Identifiers, codes, hashes and telephone numbers."""

from __future__ import annotations

import re

import pytest

from deploy.club.refusal import Refused
from deploy.club.settings import Settings
from deploy.club.tokens import keyed_hash, new_code, new_id, new_token, normalise_phone

SECRET = b"s" * 32


def test_an_id_says_its_kind_and_is_never_the_same_twice() -> None:
    made = {new_id("m") for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"m-[a-z2-7]{16}", name) for name in made)


def test_a_token_has_43_characters_and_a_code_six_digits() -> None:
    assert len(new_token()) == 43
    assert all(re.fullmatch(r"\d{6}", new_code()) for _ in range(100))


def test_hashes_differ_by_secret_purpose_and_text() -> None:
    hashes = {
        keyed_hash(SECRET, "phone", "1"),
        keyed_hash(SECRET, "code", "1"),
        keyed_hash(SECRET, "phone", "2"),
        keyed_hash(b"t" * 32, "phone", "1"),
    }
    assert len(hashes) == 4


@pytest.mark.parametrize("text", ["+4915120000001", "+49 1512 0000001", "+49 (1512) 000-0001"])
def test_a_number_is_the_same_however_it_is_written(text: str) -> None:
    assert normalise_phone(text) == "+4915120000001"


def test_a_number_without_country_needs_a_region() -> None:
    assert normalise_phone("01512 0000001", "DE") == "+4915120000001"
    with pytest.raises(Refused, match="bad_phone"):
        normalise_phone("01512 0000001")


@pytest.mark.parametrize("text", ["", "red", "+49", "+" + "1" * 60, "+49 1"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        normalise_phone(text)
    assert (caught.value.code, caught.value.status) == ("bad_phone", 400)


@pytest.mark.parametrize(
    ("base_url", "is_secure"),
    [("http://localhost:8080", False), ("http://club.example", True), ("https://localhost", True)],
)
def test_cookies_need_tls_but_for_http_on_this_machine(base_url: str, is_secure: bool) -> None:
    settings = Settings("sqlite+aiosqlite:///x", SECRET, base_url=base_url)
    assert settings.is_cookie_secure is is_secure


def test_a_short_secret_and_a_path_in_the_address_are_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Settings("sqlite+aiosqlite:///x", b"short")
    with pytest.raises(ValueError, match="root"):
        Settings("sqlite+aiosqlite:///x", SECRET, base_url="http://localhost/club")
