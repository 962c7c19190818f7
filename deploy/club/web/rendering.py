"""Pages from templates, in the visitor's language."""

from __future__ import annotations

import base64
import functools
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from babel.dates import format_datetime, format_timedelta
from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from deploy.club.people.interests import GROUPS
from deploy.club.tokens import keyed_hash, octets
from deploy.club.web.locales import Locale, babel_locale, translations
from deploy.club.web.parts import CLUB
from deploy.club.web.static import STATIC
from deploy.club.web.visitor import VISIT_COOKIE, Visitor, visitor

TEMPLATES = Path(__file__).parent.parent / "templates"
FLASH_COOKIE = "club-flash"
# A sentence; a longer cookie is nobody's of ours.
FLASH_CHARS_MAX = 1_024
FLASH_S = 60


def render(
    request: web.Request, template: str, *, status: int = 200, **context: Any
) -> web.Response:
    """A page. Templates have, beside `context`: `visitor`, `club_name`, `flash`, `unread`, `now`,
    `_`, `ngettext`, `static()`, `url()`, `csrf_field()`, `csrf_token()`, `interests()`, and the
    filters `ago`, `at_time`, `number`.
    """
    parts = request.app[CLUB]
    who = visitor(request)
    flash = _read_flash(request, who.locale)
    text = (
        environment(who.locale)
        .get_template(template)
        .render(
            {
                "visitor": who,
                "club_name": parts.settings.name,
                "is_development": parts.settings.is_development,
                "flash": flash,
                "unread": who.unread,
                "now": parts.clock(),
                "static": request.app[STATIC].url,
                "url": lambda path: parts.settings.base_url + path,
                "csrf_token": lambda: who.csrf,
                "csrf_field": lambda: _csrf_field(who),
            }
            | context
        )
    )
    response = web.Response(text=text, content_type="text/html", status=status)
    response.headers["Cache-Control"] = "no-store"
    if who.visit is not None:
        set_cookie(request, response, VISIT_COOKIE, who.visit)
    if FLASH_COOKIE in request.cookies:
        response.del_cookie(FLASH_COOKIE, path="/")
    return response


def see_other(
    request: web.Request, path: str, flash: str | None = None, **params: Any
) -> web.Response:
    """Send the browser on after a form, with a sentence (a msgid) for the next page."""
    response = web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})
    if flash is not None:
        said = base64.urlsafe_b64encode(json.dumps([flash, params]).encode()).decode()
        mac = keyed_hash(request.app[CLUB].settings.secret, "flash", said)
        set_cookie(request, response, FLASH_COOKIE, f"{said}.{mac}", max_age=FLASH_S)
    return response


def set_cookie(
    request: web.Request,
    response: web.StreamResponse,
    name: str,
    value: str,
    *,
    max_age: int | None = None,
) -> None:
    """A cookie as all of the club's are: not for scripts, not for other sites' requests."""
    response.set_cookie(
        name,
        value,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=request.app[CLUB].settings.is_cookie_secure,
        max_age=max_age,
    )


def translate(locale: Locale, text: str, params: dict[str, Any]) -> str:
    """A msgid with its places filled, in one language."""
    translated = translations(locale).gettext(text)
    return translated % params if params else translated


@functools.cache
def environment(locale: Locale) -> Environment:
    """The templates in one language."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.policies["ext.i18n.trimmed"] = True
    made.install_gettext_translations(translations(locale), newstyle=True)  # type: ignore[attr-defined]
    made.globals["interests"] = functools.partial(_interests, locale)
    made.filters["ago"] = functools.partial(_ago, locale)
    made.filters["at_time"] = functools.partial(_at_time, locale)
    made.filters["number"] = functools.partial(_number, locale)
    # partial hides what the decorator marked.
    for name in ("ago",):
        made.filters[name] = pass_context(made.filters[name])
    return made


def _interests(locale: Locale) -> list[tuple[str, str]]:
    """All interests, as pairs of slug and translated title, group after group."""
    gettext = translations(locale).gettext
    return [(slug, gettext(title)) for group in GROUPS for slug, title in group.interests]


def _ago(locale: Locale, context: Context, moment: datetime) -> Markup:
    # What happened in this very moment is past: Babel would have it ahead.
    ahead = (moment - context["now"]) or timedelta(seconds=-1)
    passed = format_timedelta(ahead, add_direction=True, locale=babel_locale(locale))
    return _time(moment, passed, "ago")


def _at_time(locale: Locale, moment: datetime) -> Markup:
    written = format_datetime(
        moment.astimezone(UTC), "d MMM y HH:mm 'UTC'", locale=babel_locale(locale)
    )
    return _time(moment, written, "moment")


def _number(locale: Locale, value: float) -> str:
    return str(format_decimal(value, locale=babel_locale(locale)))


def _time(moment: datetime, written: str, style: str) -> Markup:
    stamp = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}" data-time="{}">{}</time>').format(stamp, style, written)


def _csrf_field(who: Visitor) -> Markup:
    return Markup('<input type="hidden" name="csrf" value="{}">').format(who.csrf)


def _read_flash(request: web.Request, locale: Locale) -> str | None:
    value = request.cookies.get(FLASH_COOKIE, "")
    if not 0 < len(value) <= FLASH_CHARS_MAX:
        return None
    said, _, mac = value.partition(".")
    expected = keyed_hash(request.app[CLUB].settings.secret, "flash", said)
    if not hmac.compare_digest(expected.encode(), octets(mac)):
        return None
    text, params = json.loads(base64.urlsafe_b64decode(said))
    return translate(locale, text, params)
