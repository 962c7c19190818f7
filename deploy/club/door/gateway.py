"""Codes as text messages, by any gateway that takes JSON over HTTP.

What is posted, with `Authorization: Bearer KEY`:

    {"to": "+4915120000001", "text": "123456 is your code ...", "code": "123456", "language": "en"}

Any status from 200 to 299 says that the message is on its way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import urlsplit

import aiohttp

from deploy.club.door.sender import CodeSender, LogSender, SendError
from deploy.club.refusal import N_
from deploy.club.settings import Settings
from deploy.club.web.locales import Locale, translations

# Who asked for a code looks at a page that does not come meanwhile.
PATIENCE_S = 5.0

TEXT = N_("%(code)s is your code for %(club)s. Tell it nobody, whoever asks for it.")


class GatewaySender:
    """Posts each code to the gateway of `settings`. Nothing is tried twice: people ask again."""

    def __init__(self, http: aiohttp.ClientSession, settings: Settings) -> None:
        self._http = http
        self._settings = settings

    async def send(self, phone: str, code: str, locale: str) -> None:
        """Hand the code to the gateway; SendError when it refuses, is away, or takes too long."""
        body = {
            "to": phone,
            "text": self._text(code, locale),
            "code": code,
            "language": locale,
        }
        key = self._settings.code_gateway_key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            async with self._http.post(
                self._settings.code_gateway_url, json=body, headers=headers, allow_redirects=False
            ) as answer:
                if not 200 <= answer.status < 300:
                    raise SendError(f"the gateway says {answer.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            # Not its text, which may hold the number.
            raise SendError(type(error).__name__) from None

    def _text(self, code: str, locale: str) -> str:
        said = translations(cast(Locale, locale)).gettext(TEXT)
        host = urlsplit(self._settings.base_url).hostname
        # By the last line telephones know on which site the code may be filled in.
        return f"{said % {'code': code, 'club': self._settings.name}}\n\n@{host} #{code}"


@asynccontextmanager
async def sender_of(
    settings: Settings, *, patience_s: float = PATIENCE_S
) -> AsyncIterator[CodeSender]:
    """The sender that the settings ask for: a gateway, or else the log."""
    if not settings.code_gateway_url:
        yield LogSender(is_development=settings.is_development)
        return
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=patience_s)) as http:
        yield GatewaySender(http, settings)
