"""The session's state machine: every row of its table."""

from __future__ import annotations

from typing import Any

import pytest

from control.auth import Key, Keyring
from control.commands import AuthResult, EventsSubscribe, HelloResult, Ping, PingResult, RoomGet
from control.envelope import Request
from control.errors import invalid
from control.session import (
    REQUESTS_MAX_BEFORE_READY,
    Action,
    Answer,
    Close,
    Greeting,
    Refusal,
    Run,
    Session,
    SessionState,
)

KEY = Key("k", b"secret", ("rooms:club/",))
CHALLENGE = bytes(range(32))
GREETING = Greeting(server="s", node="n", epoch="e", limits={"depth": 16})


def new_session(*keys: Key) -> Session:
    """A session that asks for one of the keys, or for none."""
    return Session(GREETING, Keyring(keys), CHALLENGE)


def ask(session: Session, method: str, **parameters: Any) -> list[Action]:
    """Let it judge one request."""
    return session.receive(Request(id=7, m=method, p=parameters))


def code_of(actions: list[Action]) -> str:
    """The code of a lone refusal."""
    (action,) = actions
    assert isinstance(action, Refusal) and action.request_id == 7
    return action.error.code.value


def hello(session: Session) -> HelloResult:
    """Greet it."""
    (action,) = ask(session, "hello", versions=[1], client="c")
    assert isinstance(action, Answer) and isinstance(action.result, HelloResult)
    return action.result


def auth(session: Session) -> list[Action]:
    """Authenticate with the right mac."""
    return ask(session, "auth", key_id="k", mac=KEY.mac(CHALLENGE))


def test_without_keys_hello_makes_ready() -> None:
    """And says that no key is asked for."""
    session = new_session()
    result = hello(session)
    assert session.is_ready and session.scopes.admin and session.key_id is None
    assert result.auth_required is False
    assert (result.version, result.server, result.node, result.epoch) == (1, "s", "n", "e")
    assert result.challenge == CHALLENGE and result.limits == {"depth": 16}


def test_with_keys_auth_makes_ready() -> None:
    """The key's scopes are told and hold from then on."""
    session = new_session(KEY)
    assert hello(session).auth_required is True
    assert session.state is SessionState.GREETED
    assert auth(session) == [Answer(7, AuthResult(scopes=["rooms:club/"]))]
    assert session.is_ready and session.key_id == "k"


@pytest.mark.parametrize("state", ["new", "greeted"])
def test_ping_is_answered_before_ready(state: str) -> None:
    """Health checks need no key."""
    session = new_session(KEY)
    if state != "new":
        hello(session)
    assert session.state.value == state
    assert ask(session, "ping") == [Answer(7, PingResult())]


def test_ping_of_a_ready_session_is_for_who_knows_what_it_was_sent() -> None:
    """The answer tells up to which event that is everything; no scope is needed."""
    session = new_session(KEY)
    hello(session)
    auth(session)
    (run,) = ask(session, "ping")
    assert isinstance(run, Run) and run.command == Ping()


def test_nothing_else_is_answered_before_ready() -> None:
    """Commands, known or not, are refused alike."""
    session = new_session(KEY)
    for method in ("room.get", "events.subscribe", "no.such"):
        assert code_of(ask(session, method, room="club/1")) == "unauthenticated"
    hello(session)
    assert code_of(ask(session, "room.get", room="club/1")) == "unauthenticated"


def test_hello_and_auth_have_their_moment() -> None:
    """Out of order they are refused and change nothing."""
    session = new_session(KEY)
    assert code_of(auth(session)) == "failed_precondition"
    hello(session)
    assert code_of(ask(session, "hello", versions=[1], client="c")) == "failed_precondition"
    auth(session)
    assert code_of(auth(session)) == "failed_precondition"
    assert session.is_ready


def test_versions_are_negotiated() -> None:
    """Newer clients find version 1; without a common one they are told which there are."""
    session = new_session()
    (refused,) = ask(session, "hello", versions=[2, 3], client="c")
    assert isinstance(refused, Refusal) and refused.error.code.value == "unimplemented"
    assert refused.error.detail == {"versions": [1]}
    assert session.state is SessionState.NEW
    (answer,) = ask(session, "hello", versions=[3, 1], client="c", something_new=True)
    assert isinstance(answer, Answer)


@pytest.mark.parametrize(("key_id", "mac"), [("k", bytes(32)), ("x", bytes(32)), ("k", b"short")])
def test_one_wrong_mac_closes(key_id: str, mac: bytes) -> None:
    """Whether key or mac was wrong is not told, and there is no second try."""
    session = new_session(KEY)
    hello(session)
    refusal, close = ask(session, "auth", key_id=key_id, mac=mac)
    assert isinstance(refusal, Refusal) and isinstance(close, Close)
    assert refusal.error.code.value == close.event.code == "unauthenticated"
    assert close.event.message == "unknown key or wrong mac"
    assert session.is_closed and auth(session) == []


def test_ready_runs_commands() -> None:
    """Typed, with the request that asked."""
    session = new_session(KEY)
    hello(session)
    auth(session)
    (run,) = ask(session, "room.get", room="club/1")
    assert isinstance(run, Run) and run.command == RoomGet(room="club/1") and run.request.id == 7
    (run,) = ask(session, "events.subscribe", rooms=["a"])
    assert isinstance(run, Run) and run.command == EventsSubscribe(rooms=["a"])


def test_ready_refuses_what_it_cannot_run() -> None:
    """By kind: unknown command, bad parameter, room out of sight, not allowed."""
    session = new_session(KEY)
    hello(session)
    auth(session)
    assert code_of(ask(session, "room.paint", room="club/1")) == "unimplemented"
    assert code_of(ask(session, "room.get", room=5)) == "invalid_argument"
    assert code_of(ask(session, "room.get", room="other")) == "not_found"
    assert code_of(ask(session, "server.info")) == "permission_denied"
    assert session.is_ready


def test_a_stranger_may_not_ask_for_ever() -> None:
    """Bad requests count too."""
    session = new_session(KEY)
    for number in range(REQUESTS_MAX_BEFORE_READY):
        actions = ask(session, "ping") if number % 2 else session.refuse(7, invalid("m", "bad"))
        assert not session.is_closed and len(actions) == 1
    (close,) = ask(session, "ping")
    assert isinstance(close, Close) and close.event.code == "resource_exhausted"


def test_a_ready_session_may() -> None:
    """The count ends with authentication."""
    session = new_session()
    hello(session)
    for _ in range(2 * REQUESTS_MAX_BEFORE_READY):
        assert isinstance(ask(session, "ping")[0], Run)


def test_closing_says_why_once() -> None:
    """And nothing is answered after it."""
    session = new_session()
    hello(session)
    (close,) = session.close("unavailable", "bye")
    assert isinstance(close, Close) and (close.event.code, close.event.message) == (
        "unavailable",
        "bye",
    )
    assert session.close("internal", "again") == []
    assert ask(session, "ping") == [] and session.refuse(7, invalid("m", "bad")) == []


def test_a_certificate_with_the_name_of_a_key_makes_ready() -> None:
    """After hello, which asks for nothing more; another name has to prove a key by its mac."""
    session = Session(GREETING, Keyring([KEY]), CHALLENGE, ["other", "k"])
    assert hello(session).auth_required is False
    assert session.is_ready and session.key_id == "k" and session.scopes.names == KEY.scopes
    stranger = Session(GREETING, Keyring([KEY]), CHALLENGE, ["other"])
    assert hello(stranger).auth_required is True
    auth(stranger)
    assert stranger.is_ready


def test_no_certificate_makes_ready_before_hello() -> None:
    """The greeting is not left out."""
    session = Session(GREETING, Keyring([KEY]), CHALLENGE, ["k"])
    assert code_of(ask(session, "room.get", room="club/1")) == "unauthenticated"


def test_a_session_follows_its_key() -> None:
    """A new secret changes nothing, new scopes hold at once, a key that is gone ends it."""
    ring = Keyring([KEY])
    session = Session(GREETING, ring, CHALLENGE)
    hello(session)
    auth(session)
    ring.replace([Key("k", b"other", ("read",))])
    assert session.follow_keys() == [] and session.is_ready
    assert code_of(ask(session, "room.close", room="club/1")) == "permission_denied"
    ring.replace([Key("l", b"other", ("read",))])
    (closed,) = session.follow_keys()
    assert isinstance(closed, Close) and closed.event.code == "unauthenticated"


def test_a_session_without_a_key_ends_when_keys_are_asked_for() -> None:
    """And one that is not ready yet needs the new ones."""
    ring = Keyring()
    anonymous, greeted = (Session(GREETING, ring, CHALLENGE) for _ in range(2))
    hello(anonymous)
    ring.replace([KEY])
    assert isinstance(anonymous.follow_keys()[0], Close)
    assert greeted.follow_keys() == []
    assert hello(greeted).auth_required is True
