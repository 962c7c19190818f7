"""Who visits the club: one `Visitor` for each page, known by a secret token.

The public `id` is the participant id in the daemon; the token never leaves the backend except to
the page it belongs to. Whether a visitor is a moderator is decided here, once, when it first
joins.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

from control.types import Role
from deploy.club.feed import Feed

# A demo on one machine: the pages of a well-filled lecture hall.
VISITORS_MAX = 500
ROOMS_MAX = 50
# A page that neither listens nor has a socket for so long was closed or lost for good.
ABSENT_S = 60.0


class ClubError(Exception):
    """A page asked for something it does not get; `code` and the text are for the page."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True, kw_only=True)
class Visitor:
    """One page. `role` is what the visitor holds, or comes back with after a lost connection."""

    id: str
    token: str
    room: str
    name: str
    moderator: bool
    role: Role
    present: bool = False  # in the daemon's room, as far as we know
    sockets: int = 0
    absent_since: float | None = None  # monotonic; None while present or connected
    feed: Feed = field(default_factory=Feed)


class Visitors:
    """All visitors, by token and by participant id, within VISITORS_MAX and ROOMS_MAX."""

    def __init__(self, *, visitors_max: int = VISITORS_MAX, rooms_max: int = ROOMS_MAX) -> None:
        self._by_token: dict[str, Visitor] = {}
        self._rooms: dict[str, dict[str, Visitor]] = {}
        self._visitors_max = visitors_max
        self._rooms_max = rooms_max

    def __len__(self) -> int:
        return len(self._by_token)

    def __iter__(self) -> Iterator[Visitor]:
        return iter(list(self._by_token.values()))

    def admit(self, room: str, name: str, *, moderator: bool) -> Visitor:
        """A new visitor with a fresh token. ClubError `full` at a limit."""
        if len(self._by_token) >= self._visitors_max:
            raise ClubError("full", "The club is full. Try again in a while.")
        if room not in self._rooms and len(self._rooms) >= self._rooms_max:
            raise ClubError("full", "There are too many rooms already. Join an existing one.")
        visitor = Visitor(
            id=f"v-{secrets.token_hex(6)}",
            token=secrets.token_urlsafe(24),
            room=room,
            name=name,
            moderator=moderator,
            role=Role.MODERATOR if moderator else Role.LISTENER,
        )
        self._by_token[visitor.token] = visitor
        self._rooms.setdefault(room, {})[visitor.id] = visitor
        return visitor

    def by_token(self, token: str) -> Visitor:
        """ClubError `unknown_visitor` when the token is not, or no longer, good."""
        visitor = self._by_token.get(token)
        if visitor is None:
            raise ClubError("unknown_visitor", "You are not in the club any more. Join again.")
        return visitor

    def by_id(self, room: str, participant: str) -> Visitor | None:
        """The visitor behind a participant; None for bots and other guests of the daemon."""
        return self._rooms.get(room, {}).get(participant)

    def of_room(self, room: str) -> list[Visitor]:
        """Everybody who visits `room`."""
        return list(self._rooms.get(room, {}).values())

    def rooms(self) -> list[str]:
        """Rooms with at least one visitor."""
        return list(self._rooms)

    def forget(self, visitor: Visitor) -> None:
        """The token is void from now on. Idempotent."""
        self._by_token.pop(visitor.token, None)
        room = self._rooms.get(visitor.room, {})
        room.pop(visitor.id, None)
        if not room:
            self._rooms.pop(visitor.room, None)

    def note_absence(self, visitor: Visitor, now: float) -> None:
        """Start or stop the clock after which an absent visitor is forgotten."""
        if visitor.present or visitor.sockets:
            visitor.absent_since = None
        elif visitor.absent_since is None:
            visitor.absent_since = now

    def sweep(self, now: float) -> list[Visitor]:
        """Forget who has been absent for ABSENT_S; returns them."""
        gone = [
            visitor
            for visitor in self._by_token.values()
            if visitor.absent_since is not None and now - visitor.absent_since >= ABSENT_S
        ]
        for visitor in gone:
            self.forget(visitor)
        return gone
