"""All addresses of this part."""

from __future__ import annotations

from deploy.club.door import hosting_pages, inviting_pages, sign_in_pages, welcome_pages
from deploy.club.web.routes import Route

ROUTES: tuple[Route, ...] = (
    *sign_in_pages.ROUTES,
    *welcome_pages.ROUTES,
    *inviting_pages.ROUTES,
    *hosting_pages.ROUTES,
)
