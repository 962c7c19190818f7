"""What can go wrong between a backend and the daemon, as types.

    ControlError                 a command was answered with an error; `code` is one of `ErrorCode`
    ProtocolError                a peer broke framing or session rules; the connection is closed
      FrameTooLarge              a length prefix above the limit of the session's state
      FrameMalformed             a frame that is not one well-formed MessagePack map
    ConnectionLost               (client) the connection ended before the answer came

`ControlError` is an answer, never a fault of the connection: the session goes on after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

# When it is worth asking for a place again: people do not leave any faster.
RETRY_AFTER_MS: Final = 5_000


class ErrorCode(StrEnum):
    """The closed set of codes that a response may carry in `err.code`."""

    INVALID_ARGUMENT = "invalid_argument"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission_denied"
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    CONFLICT = "conflict"
    FAILED_PRECONDITION = "failed_precondition"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    UNAVAILABLE = "unavailable"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    UNIMPLEMENTED = "unimplemented"
    INTERNAL = "internal"


class ControlError(Exception):
    """A command was refused. `detail` names what: `field`, `what` or `limit`, by code."""

    def __init__(
        self,
        code: ErrorCode | str,
        message: str,
        *,
        retry_after_ms: int | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = ErrorCode(code)
        self.message = message
        self.retry_after_ms = retry_after_ms
        self.detail: dict[str, Any] = dict(detail or {})


def not_found(what: str, name: str) -> ControlError:
    """`what` is `room`, `participant` or `node` (control-protocol: `detail.what`)."""
    return ControlError(ErrorCode.NOT_FOUND, f"no such {what}: {name}", detail={"what": what})


def exhausted(
    limit: str, message: str, *, retry_after_ms: int | None = RETRY_AFTER_MS
) -> ControlError:
    """A limit was reached; its name goes into `detail.limit`. None: waiting does not help."""
    return ControlError(
        ErrorCode.RESOURCE_EXHAUSTED,
        message,
        retry_after_ms=retry_after_ms,
        detail={"limit": limit},
    )


def invalid(field: str, message: str) -> ControlError:
    """A parameter is unusable; its path goes into `detail.field`."""
    return ControlError(ErrorCode.INVALID_ARGUMENT, message, detail={"field": field})


class ProtocolError(Exception):
    """A peer broke the protocol; `code` and the text go into `session.closed`."""

    code: ErrorCode = ErrorCode.INVALID_ARGUMENT


class FrameTooLarge(ProtocolError):
    """A frame announced more bytes than its session may send."""

    code = ErrorCode.RESOURCE_EXHAUSTED


class FrameMalformed(ProtocolError):
    """A frame that is not one MessagePack map within the structural limits."""


class ConnectionLost(Exception):
    """The connection to the daemon ended before the answer arrived."""
