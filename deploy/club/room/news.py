"""What the club's bus tells the live rooms: notices for their pages, who is out of the club, and
which browser is signed out.
"""

from __future__ import annotations

import json
from typing import Any

from deploy.club.people import notices
from deploy.club.room.desk import Desk


def tell_notice(desk: Desk, payload: dict[str, Any]) -> None:
    """Tell the pages of those whom a notice is for, each in its language."""
    kind, by, room_id = payload["kind"], payload["member"], payload["room"]
    if kind not in notices.KINDS:  # a newer process may know more of them
        return
    for member_id in payload["to"]:
        for page in desk.of_member(member_id):
            text = notices.sentence(kind, payload["name"], payload["topic"], page.translate)
            href = notices.address(kind, by, room_id)
            page.feed.add(json.dumps({"type": "notice", "kind": kind, "text": text, "href": href}))


def tell_signed_out(desk: Desk, session_id: str) -> None:
    """Close all live rooms of a browser that is nobody's any more; its page hangs up then."""
    for page in desk.of_session(session_id):
        page.tell_left("left")


def tell_removed(desk: Desk, member_id: str) -> None:
    """Close all live rooms for somebody who is no member any more."""
    for page in desk.of_member(member_id):
        page.tell_left("removed")
