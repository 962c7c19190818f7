"""Which pages this process has sockets of: one for each member in each room."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from deploy.club.refusal import N_, Refused
from deploy.club.room.feed import Feed, Topic

Translate = Callable[[str], str]

# A socket with its buffers is some 50 KiB; a process of the club is to stay below 1 GiB.
PAGES_MAX = 10_000


def untranslated(text: str) -> str:
    """English."""
    return text


@dataclass(eq=False, slots=True)
class Page:
    """An open page of a live room. `translate` is for texts that are told in its language."""

    room_id: str
    member_id: str
    is_club_host: bool = False
    translate: Translate = untranslated
    session_id: str = ""  # of the browser, which may sign out
    feed: Feed = field(default_factory=Feed)

    def tell_left(self, reason: str, detail: str | None = None) -> None:
        """The page is out of the room, for good."""
        text = json.dumps({"type": "left", "reason": reason, "detail": detail})
        self.feed.post(Topic.LEFT, lambda: text)

    def tell_rejoin(self, reason: str) -> None:
        """The page lost its place and may have it back."""
        text = json.dumps({"type": "rejoin", "reason": reason})
        self.feed.post(Topic.REJOIN, lambda: text)

    def tell_ended(self, reason: str) -> None:
        """The room is over."""
        text = json.dumps({"type": "ended", "reason": reason})
        self.feed.post(Topic.ENDED, lambda: text)


class Desk:
    """All pages, by room and member, at most `pages_max`."""

    def __init__(self, pages_max: int = PAGES_MAX) -> None:
        self._rooms: dict[str, dict[str, Page]] = {}
        self._pages_max = pages_max
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Page]:
        return (page for room in list(self._rooms.values()) for page in list(room.values()))

    def add(self, page: Page) -> None:
        """Take a page in; an older one of the same member is told that it was replaced. Refused
        `full` at the limit.
        """
        older = self.find(page.room_id, page.member_id)
        if older is not None:
            older.tell_left("replaced")
            self.remove(older)
        elif self._count >= self._pages_max:
            raise Refused("full", 503, N_("The club is full. Try again in a while."))
        self._rooms.setdefault(page.room_id, {})[page.member_id] = page
        self._count += 1

    def remove(self, page: Page) -> None:
        """Forget a page; one that was replaced is forgotten already."""
        if self.find(page.room_id, page.member_id) is not page:
            return
        room = self._rooms[page.room_id]
        del room[page.member_id]
        self._count -= 1
        if not room:
            del self._rooms[page.room_id]

    def find(self, room_id: str, member_id: str) -> Page | None:
        """The page of a member in a room."""
        return self._rooms.get(room_id, {}).get(member_id)

    def of_room(self, room_id: str) -> list[Page]:
        """All pages of a room."""
        return list(self._rooms.get(room_id, {}).values())

    def of_session(self, session_id: str) -> list[Page]:
        """All pages of a browser."""
        return [page for page in self if page.session_id == session_id]

    def of_member(self, member_id: str) -> list[Page]:
        """All pages of a member: one in each room, and few rooms have one."""
        return [room[member_id] for room in self._rooms.values() if member_id in room]
