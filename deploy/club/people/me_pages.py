"""One's own page: what others see, the picture, a copy of everything, and the way out."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import web

from deploy.club.people import blocks, deletion, interests, profiles
from deploy.club.people.export import export
from deploy.club.people.named import BIO_CHARS_MAX, NAME_CHARS_MAX
from deploy.club.people.portraits import UPLOAD_BYTES_MAX, portrait
from deploy.club.refusal import N_, Refused
from deploy.club.web.forms import form, form_list, upload
from deploy.club.web.parts import CLUB
from deploy.club.web.rendering import render, see_other, translate
from deploy.club.web.routes import BODY_BYTES_MAX, Route, Standing
from deploy.club.web.visitor import visitor

# A browser that has a picture need not ask again: another picture has another id.
PICTURE_CACHE = "private, max-age=31536000, immutable"

# One at a time: a decoded picture takes up to 100 MB for a moment.
_painter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="portrait")


async def show_me(request: web.Request) -> web.Response:
    """One's own profile as a form, and whom one blocked."""
    return await _me(request)


async def change_me(request: web.Request) -> web.Response:
    """Change name, bio and interests at once."""
    parts, who = request.app[CLUB], visitor(request)
    parts.limits.take("profile", who.me.id, parts.clock())
    fields = await form(request)
    name, bio = fields.get("name", ""), fields.get("bio", "")
    chosen = await form_list(request, "interests")
    try:
        async with parts.store.begin() as tx:
            await profiles.change_profile(tx, who.me.id, name, bio, chosen)
    except Refused as refused:
        return await _me(request, refused, name=name, bio=bio, chosen=frozenset(chosen))
    return see_other(request, "/me", N_("Saved."))


async def change_picture(request: web.Request) -> web.Response:
    """Take the uploaded picture, or none where the form's `remove` is set."""
    parts, who = request.app[CLUB], visitor(request)
    now = parts.clock()
    parts.limits.take("picture", who.me.id, now)
    try:
        jpeg = None
        if not (await form(request)).get("remove"):
            jpeg = await _painted(await upload(request, "picture"))
        async with parts.store.begin() as tx:
            await profiles.change_picture(tx, who.me.id, jpeg, now)
    except Refused as refused:
        return await _me(request, refused)
    return see_other(request, "/me", N_("Saved.") if jpeg else N_("Your picture is gone."))


async def show_picture(request: web.Request) -> web.Response:
    """A picture, by its id."""
    async with request.app[CLUB].store.begin() as tx:
        jpeg = await profiles.picture(tx, request.match_info["id"])
    headers = {"Cache-Control": PICTURE_CACHE}
    return web.Response(body=jpeg, content_type="image/jpeg", headers=headers)


async def download_export(request: web.Request) -> web.Response:
    """Everything that the club knows of the visitor, as a file."""
    parts, who = request.app[CLUB], visitor(request)
    now = parts.clock()
    parts.limits.take("export", who.me.id, now)
    async with parts.store.begin() as tx:
        whole = await export(tx, who.me, now)
    return web.Response(
        text=json.dumps(whole, ensure_ascii=False, indent=2),
        content_type="application/json",
        headers={
            "Content-Disposition": 'attachment; filename="club.json"',
            "Cache-Control": "no-store",
        },
    )


async def show_delete(request: web.Request) -> web.Response:
    """What deleting means, and the button."""
    return render(request, "people/delete.html", error="")


async def delete_me(request: web.Request) -> web.Response:
    """Forget the visitor, who has to have said `sure`."""
    parts, who = request.app[CLUB], visitor(request)
    if (await form(request)).get("sure") != "yes":
        error = translate(who.locale, N_("Please say that you are sure."), {})
        return render(request, "people/delete.html", status=400, error=error)
    async with parts.store.begin() as tx:
        await deletion.forget(tx, who.me.id, parts.clock())
    return see_other(request, "/", N_("Your account is deleted. Farewell."))


async def _painted(data: bytes | None) -> bytes:
    if data is None:
        raise Refused("bad_picture", 400, N_("Please choose a picture."))
    return await asyncio.get_running_loop().run_in_executor(_painter, portrait, data)


async def _me(request: web.Request, refused: Refused | None = None, **typed: Any) -> web.Response:
    """The page of oneself; with what was `typed` where it was refused."""
    parts, who = request.app[CLUB], visitor(request)
    async with parts.store.begin() as tx:
        own = await profiles.profile(tx, who.me, who.me.id)
        blocked = await blocks.blocked_by(tx, who.me.id)
    return render(
        request,
        "people/me.html",
        status=refused.status if refused else 200,
        profile=own,
        blocked=blocked,
        name=typed.get("name", own.member.name),
        bio=typed.get("bio", own.member.bio),
        chosen=typed.get("chosen", own.interests),
        name_max=NAME_CHARS_MAX,
        bio_max=BIO_CHARS_MAX,
        interests_max=interests.INTERESTS_MAX,
        code=refused.code if refused else "",
        error=translate(who.locale, refused.text, refused.params) if refused else "",
    )


ROUTES: tuple[Route, ...] = (
    Route("GET", "/me", show_me),
    Route("POST", "/me", change_me),
    Route(
        "POST",
        "/me/picture",
        change_picture,
        # Beside the file there are a token and the parts' headers.
        body_bytes_max=UPLOAD_BYTES_MAX + BODY_BYTES_MAX,
    ),
    Route("GET", "/pictures/{id}", show_picture, needs=Standing.WAITING),
    Route("GET", "/me/export", download_export, needs=Standing.WAITING),
    Route("GET", "/me/delete", show_delete, needs=Standing.WAITING),
    Route("POST", "/me/delete", delete_me, needs=Standing.WAITING),
)
