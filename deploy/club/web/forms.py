"""What a request brought, checked for type and size before a handler sees it."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from aiohttp import web
from aiohttp.web_request import FileField
from multidict import MultiDictProxy

from deploy.club.refusal import N_, Refused

Body = TypeVar("Body", bound=msgspec.Struct)

FIELDS_MAX = 200


async def posted(request: web.Request) -> MultiDictProxy[str | bytes | bytearray | FileField]:
    """A posted form as it came. Raises Refused `bad_request` for what cannot be read as one."""
    try:
        return await request.post()
    except (ValueError, LookupError):  # broken parts; a charset that there is not
        raise Refused("bad_request", 400, N_("The request is not understood.")) from None


async def form(request: web.Request) -> dict[str, str]:
    """The fields of a posted form that are texts, each without spaces around it; of a field that
    came several times the last.
    """
    fields = await posted(request)
    if len(fields) > FIELDS_MAX:
        raise Refused("bad_request", 400, N_("That form has too many fields."))
    return {name: _text(value).strip() for name, value in fields.items() if isinstance(value, str)}


async def form_list(request: web.Request, name: str) -> list[str]:
    """All values of one field of a posted form, in order: checkboxes of one name."""
    fields = await posted(request)
    return [_text(value) for value in fields.getall(name, []) if isinstance(value, str)]


async def upload(request: web.Request, name: str) -> bytes | None:
    """The file in one field of a posted multipart form; None when none was chosen."""
    field = (await posted(request)).get(name)
    if not isinstance(field, FileField):
        return None
    return field.file.read() or None


async def read_json(request: web.Request, kind: type[Body]) -> Body:
    """The body as a message of `kind`. Raises Refused `bad_request` with where the fault is."""
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.DecodeError as error:  # ValidationError is one
        raise Refused(
            "bad_request", 400, N_("The request is not understood: %(fault)s"), fault=str(error)
        ) from None


def _text(value: str) -> str:
    """Without the one character that PostgreSQL does not store."""
    return value.replace("\0", "")
