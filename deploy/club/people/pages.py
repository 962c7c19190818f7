"""All addresses of this part."""

from __future__ import annotations

from deploy.club.people import me_pages, moderation_pages, notice_pages, profile_pages
from deploy.club.web.routes import Route

ROUTES: tuple[Route, ...] = (
    *profile_pages.ROUTES,
    *me_pages.ROUTES,
    *notice_pages.ROUTES,
    *moderation_pages.ROUTES,
)
