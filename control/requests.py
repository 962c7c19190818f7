"""The name of the request that is being worked on, for whoever logs on its way.

It is the number of the connection since the server's start and the request's own `id`, `7.42`. Set
while a command is submitted, and kept by what waits for its outcome.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

REQUEST: Final[ContextVar[str]] = ContextVar("request", default="")
