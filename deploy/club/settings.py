"""What one club is set up with; built by a command line or a test, read by everybody."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlsplit

# What keys HMAC-SHA256 is as long as its output.
SECRET_BYTES_MIN = 32
URL_SCHEMES = frozenset({"http", "https"})
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class Door(Enum):
    """A way in; both may stand open at once."""

    CLOSED = "closed"  # numbers on the hosts' list get in
    INVITATION = "invitation"  # whoever holds a member's invitation gets in


@dataclass(frozen=True, slots=True)
class Settings:
    """One club. Raises ValueError for what cannot work."""

    database_url: str = field(repr=False)  # sqlite+aiosqlite:///PATH or postgresql+asyncpg://...
    secret: bytes = field(repr=False)  # keys all hashes that are stored
    base_url: str = "http://localhost:8080"  # how browsers reach it; no slash at the end
    is_development: bool = False  # codes are shown on the page
    doors: frozenset[Door] = frozenset({Door.CLOSED, Door.INVITATION})
    invitations_each: int = 5
    name: str = "Rostrum Club"
    code_gateway_url: str = ""  # takes codes for text messages; without one they go to the log
    code_gateway_key: str = field(default="", repr=False)
    trusted_proxies: int = 0  # how many of the last X-Forwarded-For entries are our own proxies'

    def __post_init__(self) -> None:
        if len(self.secret) < SECRET_BYTES_MIN:
            raise ValueError(f"the secret must have at least {SECRET_BYTES_MIN} bytes")
        parts = urlsplit(self.base_url)
        if parts.scheme not in URL_SCHEMES or not parts.netloc or parts.path:
            raise ValueError(f"not an address of a site's root: {self.base_url}")
        if self.code_gateway_url and urlsplit(self.code_gateway_url).scheme not in URL_SCHEMES:
            raise ValueError(f"not an address of a gateway: {self.code_gateway_url}")
        if self.trusted_proxies < 0 or self.invitations_each < 0:
            raise ValueError("a count below zero")

    @property
    def is_cookie_secure(self) -> bool:
        """Whether cookies go over TLS only: always, but for http on this machine."""
        parts = urlsplit(self.base_url)
        return parts.scheme == "https" or parts.hostname not in LOCAL_HOSTS
