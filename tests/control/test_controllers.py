"""Who is connected decides which rooms are controlled, and only a change of that is told."""

from __future__ import annotations

from control.auth import Scopes
from control.controllers import Controlled, Controllers

ADMIN, READER, CLUB = Scopes(("admin",)), Scopes(("read",)), Scopes(("rooms:club/", "read"))


def test_what_is_controlled_follows_the_sessions() -> None:
    told: list[Controlled] = []
    controllers = Controllers(told.append)
    controllers.change(None, CLUB)
    controllers.change(None, ADMIN)
    controllers.change(ADMIN, None)
    controllers.change(CLUB, None)
    assert [(one("club/1"), one("other")) for one in told] == [
        (True, False),
        (True, True),
        (True, False),
        (False, False),
    ]


def test_nothing_is_told_while_it_stays_the_same() -> None:
    told: list[Controlled] = []
    controllers = Controllers(told.append)
    controllers.change(None, READER)
    assert told == []
    controllers.change(None, ADMIN)
    controllers.change(None, ADMIN)
    controllers.change(None, CLUB)
    controllers.change(ADMIN, None)
    assert told == [Controlled(everything=True)]


def test_a_session_whose_scopes_change_stays_without_a_moment_between() -> None:
    told: list[Controlled] = []
    controllers = Controllers(told.append)
    controllers.change(None, ADMIN)
    controllers.change(ADMIN, CLUB)
    assert told == [Controlled(everything=True), Controlled(prefixes=("club/",))]


def test_an_empty_prefix_is_every_room() -> None:
    assert Controlled(prefixes=("",))("anything")
    assert not Controlled()("anything")
