"""How a rule says no: a code for programs, a status for HTTP, a text for people."""

from __future__ import annotations

from typing import Any


def N_(text: str) -> str:  # noqa: N802 - the name that gettext's tools look for
    """Mark `text` for the catalogues; it is translated where it is shown."""
    return text


class Refused(Exception):
    """A request that the club's rules do not grant.

    `code` is stable and for programs, `status` is HTTP's, `text` is English with `%(name)s` places
    that `params` fill; it is a msgid, so write it in `N_`.
    """

    def __init__(self, code: str, status: int, text: str, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.text = text
        self.params = params

    def __str__(self) -> str:
        return f"{self.code}: {self.text % self.params if self.params else self.text}"
