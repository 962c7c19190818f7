"""Whose request this is: found once for each request, before its handler runs."""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass, replace

from aiohttp import web

from deploy.club.door import sessions
from deploy.club.people import notices
from deploy.club.store import Member, Session
from deploy.club.tokens import keyed_hash, new_token, octets
from deploy.club.web.locales import Locale, choose_locale
from deploy.club.web.parts import CLUB
from deploy.club.web.routes import Standing

SESSION_COOKIE = "club"
# Of strangers, so that their forms can be told from another site's.
VISIT_COOKIE = "club-visit"
LANGUAGE_COOKIE = "club-language"
COOKIE_CHARS_MAX = 64


@dataclass(frozen=True, slots=True)
class Visitor:
    """The person behind a request. `session` is there from the code on, `member` from the name
    on.
    """

    member: Member | None
    session: Session | None
    standing: Standing
    locale: Locale
    csrf: str
    path: str
    visit: str | None = None  # set when the cookie for it is still to be given
    unread: int = 0

    @property
    def me(self) -> Member:
        """The member; only where the route needs one."""
        assert self.member is not None
        return self.member


_VISITOR: web.RequestKey[Visitor] = web.RequestKey("visitor", Visitor)


def visitor(request: web.Request) -> Visitor:
    """The visitor of `request`; a stranger where nobody was looked for (an early failure)."""
    found: Visitor | None = request.get(_VISITOR)
    return found if found is not None else _stranger(request)


async def recognise(request: web.Request, *, is_page: bool) -> Visitor:
    """Look the visitor up by the session's cookie, once for each request. What the head of a page
    shows is looked up for pages only.
    """
    parts = request.app[CLUB]
    token = request.cookies.get(SESSION_COOKIE, "")
    found = _stranger(request)
    if 0 < len(token) <= COOKIE_CHARS_MAX:
        now = parts.clock()
        async with parts.store.begin() as tx:
            session = await sessions.find(tx, token, now)
            if session is not None:
                member = None
                if session.member_id is not None:
                    member = await tx.get(Member, session.member_id)
                found = _known(request, session, member)
                if is_page and found.standing >= Standing.MEMBER and member is not None:
                    unread = await notices.unread(tx, member.id)
                    found = replace(found, unread=unread)
    request[_VISITOR] = found
    return found


def standing_of(member: Member | None) -> Standing:
    """What a member's row says of its standing."""
    if member is None or member.deleted_at is not None:
        return Standing.STRANGER
    if member.standing == "member":
        return Standing.HOST if member.is_host else Standing.MEMBER
    return Standing.WAITING if member.standing == "waiting" else Standing.STRANGER


def is_own_form(request: web.Request, given: str) -> bool:
    """Whether `given` is the visitor's own CSRF token; in constant time."""
    return hmac.compare_digest(visitor(request).csrf.encode(), octets(given))


def client_address(request: web.Request) -> str:
    """Where the request comes from, as a key of limits: an IPv4 address, or the /64 of an IPv6
    one, because a household gets all of those. Behind our own proxies it is what the outermost
    of them saw.
    """
    proxies = request.app[CLUB].settings.trusted_proxies
    address = request.remote or ""
    if proxies:
        # Some proxies add to the header that came, others add one of their own below it.
        lines = request.headers.getall("X-Forwarded-For", [])
        forwarded = [part.strip() for part in ",".join(lines).split(",")]
        address = (forwarded[-proxies] if len(forwarded) >= proxies else "") or address
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def _stranger(request: web.Request) -> Visitor:
    secret = request.app[CLUB].settings.secret
    given = request.cookies.get(VISIT_COOKIE, "")
    is_new = not 0 < len(given) <= COOKIE_CHARS_MAX
    visit = new_token() if is_new else given
    return Visitor(
        member=None,
        session=None,
        standing=Standing.STRANGER,
        locale=choose_locale(
            request.cookies.get(LANGUAGE_COOKIE), request.headers.get("Accept-Language", "")
        ),
        csrf=keyed_hash(secret, "csrf", visit),
        path=request.path,
        visit=visit if is_new else None,
    )


def _known(request: web.Request, session: Session, member: Member | None) -> Visitor:
    # What was chosen in this browser, perhaps before signing in, is the later choice.
    language = request.cookies.get(LANGUAGE_COOKIE)
    return Visitor(
        member=member,
        session=session,
        standing=standing_of(member),
        locale=choose_locale(
            language or (member.language if member is not None else None),
            request.headers.get("Accept-Language", ""),
        ),
        csrf=session.csrf,
        path=request.path,
    )
