"""Why a room says no, where the contract has no shorter word for it."""

from __future__ import annotations

from control.errors import ControlError, ErrorCode


def failed_precondition(message: str, **detail: str) -> ControlError:
    """The command is well formed, but the room's present state forbids it."""
    return ControlError(ErrorCode.FAILED_PRECONDITION, message, detail=detail)


def conflict(message: str, **present: int) -> ControlError:
    """Somebody else has changed it since: `present` is what stands there now."""
    return ControlError(ErrorCode.CONFLICT, message, detail=present)


def already_exists(what: str, name: str) -> ControlError:
    """`what` of this name is there and the caller asked not to replace it."""
    return ControlError(
        ErrorCode.ALREADY_EXISTS, f"{what} already exists: {name}", detail={"what": what}
    )


def banned(participant: str, remaining_s: float) -> ControlError:
    """`participant` was removed with a ban that runs for `remaining_s` more seconds."""
    return ControlError(
        ErrorCode.PERMISSION_DENIED,
        f"participant is banned from this room: {participant}",
        retry_after_ms=max(1, round(remaining_s * 1000)),
    )
