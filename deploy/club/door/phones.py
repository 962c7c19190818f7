"""How a telephone number is known here: by a keyed hash, which finds it and cannot be read."""

from __future__ import annotations

from deploy.club.settings import Settings
from deploy.club.tokens import keyed_hash, normalise_phone

# A form's text may hold so many numbers, one in each line.
LINES_MAX = 500


def phone_hash(settings: Settings, phone: str) -> str:
    """What is stored for `phone` (E.164); the same number has another one in another club."""
    return keyed_hash(settings.secret, "phone", phone)


def read_phones(text: str) -> list[str]:
    """The numbers in `text`, one in each line, as E.164, each once.

    Raises Refused `bad_phone` when a line is none, or there are no lines or more than LINES_MAX.
    """
    lines = [line for line in text.splitlines() if line.strip()][: LINES_MAX + 1]
    if not lines or len(lines) > LINES_MAX:
        # As a number that is none: what the page says about it is what helps.
        normalise_phone("")
    return list(dict.fromkeys(normalise_phone(line) for line in lines))
