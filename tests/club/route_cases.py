"""What each route of the site answers to whom: said here once more, in plain words, by hand.

`test_authorisation.py` tries all of it. A route that is not here fails there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from deploy.club.web.routes import Standing

# Everybody who tries. A newcomer gave a right code and no name yet; a host is one of the club, a
# room host one of the room that a case is about; who is blocked is so by that room host, who is
# also the person whose page is asked for.
WHO = (
    "stranger",
    "newcomer",
    "waiting",
    "removed",
    "member",
    "blocked",
    "listener",
    "speaker",
    "moderator",
    "room_host",
    "host",
)
STANDINGS = {
    "stranger": Standing.STRANGER,
    "newcomer": Standing.STRANGER,
    "waiting": Standing.WAITING,
    # Their session is over with their membership.
    "removed": Standing.STRANGER,
    "host": Standing.HOST,
}


def standing_of(who: str) -> Standing:
    """The standing in the club."""
    return STANDINGS.get(who, Standing.MEMBER)


@dataclass(frozen=True, slots=True)
class Case:
    """One route. `path` names people and rooms of the test's world in braces.

    Who has less than `needs` is turned away; all others get `ok`, or what `but` says for them.
    """

    path: str
    needs: Standing
    ok: int
    but: dict[str, int] = field(default_factory=dict)
    form: dict[str, str] | None = None
    json: dict[str, Any] | None = None
    is_socket: bool = False

    def expected(self, who: str) -> int:
        """The status for somebody of enough standing."""
        return self.but.get(who, self.ok)


STRANGER, WAITING, MEMBER, HOST = Standing


def _all_but(*named: str) -> tuple[str, ...]:
    return tuple(who for who in WHO if who not in named)


def _only(*named: str, others: int = 403) -> dict[str, int]:
    """Everybody who is not named is refused."""
    return dict.fromkeys(_all_but(*named), others)


SIGNED_IN = (
    "waiting",
    "member",
    "blocked",
    "listener",
    "speaker",
    "moderator",
    "room_host",
    "host",
)
# The room of a host who blocked one, or whom one blocked, is not there.
NOT_THERE = {"blocked": 404}
OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"

CASES: dict[tuple[str, str], Case] = {
    # web
    ("GET", "/"): Case("/", STRANGER, 200, dict.fromkeys(SIGNED_IN, 303)),
    ("GET", "/healthz"): Case("/healthz", STRANGER, 200),
    ("POST", "/language"): Case("/language", STRANGER, 303, form={"language": "de"}),
    # door
    ("GET", "/sign-in"): Case(
        "/sign-in", STRANGER, 200, dict.fromkeys((*SIGNED_IN, "newcomer"), 303)
    ),
    ("POST", "/sign-in"): Case("/sign-in", STRANGER, 303, form={"phone": "{own_number}"}),
    ("GET", "/sign-in/code"): Case("/sign-in/code", STRANGER, 303),
    ("POST", "/sign-in/code"): Case("/sign-in/code", STRANGER, 303, form={"code": "000000"}),
    ("POST", "/sign-out"): Case("/sign-out", STRANGER, 303, form={}),
    ("GET", "/i/{code}"): Case("/i/{invitation}", STRANGER, 200),
    ("GET", "/welcome"): Case("/welcome", STRANGER, 303, {"newcomer": 200}),
    ("POST", "/welcome"): Case("/welcome", STRANGER, 303, form={"name": "Green"}),
    ("GET", "/waiting"): Case("/waiting", WAITING, 303, {"waiting": 200}),
    ("GET", "/invitations"): Case("/invitations", MEMBER, 200),
    ("POST", "/invitations"): Case("/invitations", MEMBER, 303, form={"label": "a friend"}),
    ("POST", "/invitations/{code}/revoke"): Case(
        "/invitations/{invitation}/revoke", MEMBER, 404, {"room_host": 303}, form={}
    ),
    ("GET", "/door"): Case("/door", HOST, 200),
    ("POST", "/door/admit"): Case("/door/admit", HOST, 303, form={"next": "1"}),
    ("GET", "/door/numbers"): Case("/door/numbers", HOST, 200),
    ("POST", "/door/numbers"): Case("/door/numbers", HOST, 303, form={"phone": "+4915129999998"}),
    ("POST", "/door/numbers/remove"): Case(
        "/door/numbers/remove", HOST, 303, form={"phone": "+4915129999998"}
    ),
    # people
    ("GET", "/people/{id}"): Case("/people/{room_host}", MEMBER, 200, NOT_THERE),
    ("GET", "/people/{id}/chain"): Case("/people/{room_host}/chain", MEMBER, 200, NOT_THERE),
    ("POST", "/people/{id}/follow"): Case("/people/{bystander}/follow", MEMBER, 303, form={}),
    ("POST", "/people/{id}/unfollow"): Case("/people/{bystander}/unfollow", MEMBER, 303, form={}),
    ("POST", "/people/{id}/block"): Case("/people/{bystander}/block", MEMBER, 303, form={}),
    ("POST", "/people/{id}/unblock"): Case("/people/{bystander}/unblock", MEMBER, 303, form={}),
    ("GET", "/people/{id}/report"): Case("/people/{bystander}/report", MEMBER, 200),
    ("POST", "/people/{id}/report"): Case(
        "/people/{bystander}/report", MEMBER, 303, form={"reason": "spam", "text": "advertises"}
    ),
    ("GET", "/me"): Case("/me", MEMBER, 200),
    ("POST", "/me"): Case("/me", MEMBER, 303, form={"name": "Grey", "bio": ""}),
    ("POST", "/me/picture"): Case("/me/picture", MEMBER, 400, form={}),
    ("GET", "/pictures/{id}"): Case("/pictures/none", WAITING, 404),
    ("GET", "/me/export"): Case("/me/export", WAITING, 200),
    ("GET", "/me/delete"): Case("/me/delete", WAITING, 200),
    ("POST", "/me/delete"): Case("/me/delete", WAITING, 303, form={"sure": "yes"}),
    # Nobody's page is told to stay away over the socket: a refusal would be tried again.
    ("GET", "/news"): Case("/news", STRANGER, 101, is_socket=True),
    ("GET", "/notices"): Case("/notices", MEMBER, 200),
    ("POST", "/notices/read"): Case("/notices/read", MEMBER, 303, form={}),
    ("GET", "/moderation"): Case("/moderation", HOST, 200),
    ("POST", "/moderation/{report}/resolve"): Case(
        "/moderation/none/resolve", HOST, 404, form={"outcome": "dismissed"}
    ),
    ("POST", "/people/{id}/remove"): Case("/people/{bystander}/remove", HOST, 303, form={}),
    # hall
    ("GET", "/hall"): Case("/hall", MEMBER, 200),
    ("GET", "/upcoming"): Case("/upcoming", MEMBER, 200),
    ("GET", "/rooms/new"): Case("/rooms/new", MEMBER, 200),
    ("POST", "/rooms/new"): Case(
        "/rooms/new", MEMBER, 303, form={"topic": "Tea", "visibility": "open"}
    ),
    ("POST", "/rooms/{id}/will-come"): Case(
        "/rooms/{planned}/will-come", MEMBER, 303, NOT_THERE, form={}
    ),
    ("POST", "/rooms/{id}/wont-come"): Case(
        "/rooms/{planned}/wont-come", MEMBER, 303, NOT_THERE, form={}
    ),
    ("POST", "/rooms/{id}/open"): Case(
        "/rooms/{planned}/open", MEMBER, 303, _only("room_host") | NOT_THERE, form={}
    ),
    ("POST", "/rooms/{id}/cancel"): Case(
        "/rooms/{planned}/cancel", MEMBER, 303, _only("room_host") | NOT_THERE, form={}
    ),
    ("POST", "/rooms/{id}/invite"): Case(
        "/rooms/{planned}/invite",
        MEMBER,
        303,
        _only("room_host") | NOT_THERE,
        form={"member": "{follower}"},
    ),
    ("GET", "/rooms/{id}/calendar.ics"): Case(
        "/rooms/{planned}/calendar.ics", MEMBER, 200, NOT_THERE
    ),
    # room
    ("GET", "/rooms/{id}"): Case("/rooms/{live}", MEMBER, 200, NOT_THERE),
    ("GET", "/rooms/{id}/log"): Case(
        "/rooms/{live}/log", MEMBER, 200, _only("room_host", "host") | NOT_THERE
    ),
    ("POST", "/rooms/{id}/join"): Case(
        "/rooms/{live}/join", MEMBER, 200, NOT_THERE, json={"offer": OFFER}
    ),
    ("POST", "/rooms/{id}/restart-ice"): Case(
        "/rooms/{live}/restart-ice",
        MEMBER,
        200,
        NOT_THERE | {"member": 404, "host": 404},
        json={"offer": OFFER},
    ),
    ("POST", "/rooms/{id}/act"): Case(
        "/rooms/{live}/act",
        MEMBER,
        200,
        _only("moderator", "room_host") | NOT_THERE,
        json={"action": "lock_hands"},
    ),
    ("POST", "/rooms/{id}/leave"): Case("/rooms/{live}/leave", MEMBER, 200, json={}),
    # Opened to all members; who may not be in the room is told so, and nothing else.
    ("GET", "/rooms/{id}/socket"): Case("/rooms/{live}/socket", MEMBER, 101, is_socket=True),
}
