"""Secrets, identifiers and how they are kept: nothing is stored that opens a door by itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

import phonenumbers

from deploy.club.refusal import N_, Refused

CODE_DIGITS = 6
# Longer input is not a telephone number, however it is written.
PHONE_CHARS_MAX = 40


def new_id(prefix: str) -> str:
    """`prefix`, a hyphen and 16 characters of base32 in lower case: 80 random bits."""
    return f"{prefix}-{base64.b32encode(secrets.token_bytes(10)).decode().lower()}"


def id_of(prefix: str, *parts: str) -> str:
    """The identifier that the same parts always have; it looks like one of `new_id`."""
    digest = hashlib.sha256(octets("\0".join(parts))).digest()
    return f"{prefix}-{base64.b32encode(digest[:10]).decode().lower()}"


def new_token() -> str:
    """43 characters of base64url: 256 random bits."""
    return secrets.token_urlsafe(32)


def new_code() -> str:
    """A one-time code of CODE_DIGITS digits."""
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"


def keyed_hash(secret: bytes, purpose: str, text: str) -> str:
    """HMAC-SHA256 in hex. Hashes of different purposes never match each other."""
    message = purpose.encode() + b"\0" + octets(text)
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def octets(text: str) -> bytes:
    """UTF-8, also of what came in a header and was none: that holds lone surrogates."""
    return text.encode(errors="surrogatepass")


def normalise_phone(text: str, region: str | None = None) -> str:
    """A telephone number as E.164, however it was written; without its country code only where
    `region` (ISO 3166) is given. Raises Refused `bad_phone`.
    """
    try:
        if len(text) > PHONE_CHARS_MAX:
            raise phonenumbers.NumberParseException(
                phonenumbers.NumberParseException.TOO_LONG, "too long"
            )
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_possible_number(number):
        raise Refused(
            "bad_phone",
            400,
            N_("That is no telephone number. Begin with + and the country, as in +49."),
        )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
