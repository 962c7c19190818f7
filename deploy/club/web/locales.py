"""The languages of the site: English in the sources, others in `text/*.LANGUAGE.po`."""

from __future__ import annotations

import functools
import gettext
import io
from pathlib import Path
from typing import Literal, cast, get_args

from babel import Locale as BabelLocale
from babel import negotiate_locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

Locale = Literal["en", "de"]
LOCALES: tuple[Locale, ...] = get_args(Locale)
DEFAULT: Locale = "en"
TEXT = Path(__file__).parent.parent / "text"
# Browsers send a handful.
ACCEPTED_MAX = 16


def choose_locale(chosen: str | None, accepted: str) -> Locale:
    """`chosen` by the person if it is one of LOCALES, else the best of an Accept-Language
    header, else DEFAULT.
    """
    if chosen in LOCALES:
        return chosen
    weighed: list[tuple[float, str]] = []
    for part in accepted.split(",")[:ACCEPTED_MAX]:
        name, _, quality = part.strip().partition(";q=")
        try:
            weighed.append((float(quality or 1), name))
        except ValueError:
            continue
    weighed.sort(key=lambda pair: -pair[0])
    wanted = [name for quality, name in weighed if quality > 0 and name]
    return cast(Locale, negotiate_locale(wanted, list(LOCALES), sep="-") or DEFAULT)


@functools.cache
def translations(locale: Locale) -> gettext.NullTranslations:
    """The texts of one language, compiled in memory from all parts' catalogues."""
    if locale == DEFAULT:
        return gettext.NullTranslations()
    whole = Catalog(locale=locale, charset="utf-8")
    for path in sorted(TEXT.glob(f"*.{locale}.po")):
        with path.open("rb") as file:
            part = read_po(file, locale=locale, abort_invalid=True)
        for message in part:
            if message.id:
                whole.add(message.id, message.string, context=message.context)
    compiled = io.BytesIO()
    write_mo(compiled, whole)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


@functools.cache
def babel_locale(locale: Locale) -> BabelLocale:
    """How dates and numbers are written. English is written without the habits of one country
    as far as Babel knows such a locale.
    """
    return BabelLocale.parse("en_GB" if locale == "en" else locale)
