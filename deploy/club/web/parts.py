"""What handlers reach through the application: `request.app[CLUB]`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiohttp import web

from deploy.club.settings import Settings
from deploy.club.web.limits import Limits

if TYPE_CHECKING:
    from deploy.club.door.sender import CodeSender
    from deploy.club.room.live import LiveRooms
    from deploy.club.store import Store


def utc_now() -> datetime:
    """The wall clock, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """The club behind the pages."""

    settings: Settings
    store: Store
    clock: Callable[[], datetime]
    sender: CodeSender
    live: LiveRooms
    limits: Limits


CLUB: web.AppKey[Parts] = web.AppKey("club", Parts)
