"""Where somebody was going when the door stopped them: a link to a room, a profile, a calendar."""

from __future__ import annotations

from aiohttp import web

from deploy.club.web.rendering import set_cookie

ONWARD_COOKIE = "club-onward"
# As long as a code is good, and the form after it takes.
ONWARD_S = 1_800
# Addresses of the club are shorter.
PATH_CHARS_MAX = 300


def remember(request: web.Request, response: web.StreamResponse) -> None:
    """Keep the page that was asked for in this browser; forms are not sent again, and a picture in
    a page is not where anybody goes.
    """
    path = request.rel_url.raw_path_qs
    is_page = request.headers.get("Sec-Fetch-Dest", "document") == "document"
    if request.method == "GET" and is_page and is_ours(path):
        set_cookie(request, response, ONWARD_COOKIE, path, max_age=ONWARD_S)


def onward(request: web.Request) -> str:
    """The page that was asked for; the entrance where there was none."""
    path = request.cookies.get(ONWARD_COOKIE, "")
    return path if is_ours(path) else "/"


def forget(response: web.StreamResponse) -> None:
    """It is reached."""
    response.del_cookie(ONWARD_COOKIE, path="/")


def is_ours(path: str) -> bool:
    """Whether a browser that is sent to `path` stays with the club."""
    if not path.startswith("/") or len(path) > PATH_CHARS_MAX:
        return False
    # Two slashes begin another host, and browsers read a backslash as one.
    return not path.startswith("//") and "\\" not in path and path.isprintable()
