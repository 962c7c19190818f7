"""What a part of the site exports: its routes, each with the standing that it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import NamedTuple

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# A form or an SDP offer; an offer with three audio m-lines is under 10 KiB.
BODY_BYTES_MAX = 64 * 1024


class Standing(IntEnum):
    """Of a visitor in the club; each includes what those before it may do."""

    STRANGER = 0  # not signed in, or signed in without having given a name, or removed
    WAITING = 1  # on the waiting list
    MEMBER = 2
    HOST = 3  # of the club, not of a room


class Route(NamedTuple):
    """One method of one address. `is_json`: refusals are told as JSON instead of as pages."""

    method: str
    path: str
    handler: Handler
    needs: Standing = Standing.MEMBER
    is_json: bool = False
    body_bytes_max: int = BODY_BYTES_MAX
