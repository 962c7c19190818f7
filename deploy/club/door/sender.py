"""How a one-time code reaches the telephone of who asked for it."""

from __future__ import annotations

from typing import Protocol

import structlog

# What development keeps to show: more people than sign in at once on a developer's machine.
SHOWN_MAX = 1_000
# Of a number in a log line: tells two apart, and is not a number.
ENDS_WITH = 4


class SendError(Exception):
    """The code did not leave the club; who asked for it is told to try again."""


class CodeSender(Protocol):
    """Brings codes to numbers: a gateway for text messages, a mail to a tester, a log."""

    async def send(self, phone: str, code: str, locale: str) -> None:
        """Send `code` to `phone` (E.164) in the language of `locale`; SendError where it cannot.

        It must be as quick for every number: how long a page takes shall not tell who is a member.
        """
        ...  # pragma: no cover


class LogSender:
    """Writes codes to the log, for a club whose hosts pass them on themselves.

    In development it remembers them as well, so that the page can show them.
    """

    def __init__(self, *, is_development: bool = False) -> None:
        self._log = structlog.get_logger("door")
        self._is_development = is_development
        self._shown: dict[str, str] = {}

    async def send(self, phone: str, code: str, locale: str) -> None:
        """Log the code beside the last digits of the number; no more of it is kept anywhere."""
        self._log.info("login_code", code=code, number_ends=phone[-ENDS_WITH:])
        if not self._is_development:
            return
        self._shown.pop(phone, None)
        self._shown[phone] = code
        while len(self._shown) > SHOWN_MAX:
            del self._shown[next(iter(self._shown))]

    def shown(self, phone: str) -> str | None:
        """The latest code of the number, in development only."""
        return self._shown.get(phone)
