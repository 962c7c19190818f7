"""What the daemon refuses, in words for people."""

from __future__ import annotations

from control.errors import ControlError, ErrorCode
from deploy.club.refusal import N_, Refused


def away() -> Refused:
    """No connection to the daemon."""
    return Refused(
        "unavailable", 503, N_("The audio server is away. The sound comes back by itself.")
    )


def not_inside() -> Refused:
    """Somebody, perhaps oneself, is not in the room."""
    return Refused("not_inside", 404, N_("That person is not in the room any more."))


def refused(error: ControlError) -> Refused:
    """The club's refusal for one of the daemon."""
    limit = error.detail.get("limit")
    match error.code:
        case ErrorCode.INVALID_ARGUMENT:
            return Refused("bad_offer", 400, N_("The connection could not be understood."))
        case ErrorCode.NOT_FOUND:
            return not_inside()
        case ErrorCode.RESOURCE_EXHAUSTED if limit in ("max_speakers", "speakers"):
            return Refused("stage_full", 409, N_("The stage is full."))
        case ErrorCode.RESOURCE_EXHAUSTED:
            return Refused("full", 503, N_("The room is full. Try again in a while."))
        case ErrorCode.FAILED_PRECONDITION:
            return Refused("not_now", 409, N_("That is not possible at the moment."))
        case ErrorCode.PERMISSION_DENIED:
            return Refused("removed", 403, N_("A moderator removed you from this room."))
        case ErrorCode.UNAVAILABLE | ErrorCode.DEADLINE_EXCEEDED:
            return away()
        case _:
            return Refused("internal", 500, N_("Something went wrong on our side."))
