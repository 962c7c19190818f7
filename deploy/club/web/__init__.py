"""The club's web server: what every part of the site uses. `web.app` puts the parts together."""

from __future__ import annotations

from deploy.club.refusal import N_
from deploy.club.web.forms import form, form_list, read_json, upload
from deploy.club.web.limits import Limits
from deploy.club.web.parts import CLUB, Parts
from deploy.club.web.rendering import render, see_other
from deploy.club.web.routes import Handler, Route, Standing
from deploy.club.web.visitor import Visitor, client_address, visitor

__all__ = [
    "CLUB",
    "Handler",
    "Limits",
    "N_",
    "Parts",
    "Route",
    "Standing",
    "Visitor",
    "client_address",
    "form",
    "form_list",
    "read_json",
    "render",
    "see_other",
    "upload",
    "visitor",
]
