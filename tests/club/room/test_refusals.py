"""Every refusal of the daemon has words for people and a status for HTTP."""

from __future__ import annotations

import pytest

from control.errors import ControlError, ErrorCode
from deploy.club.room.refusals import refused

EXPECTED = {
    ErrorCode.INVALID_ARGUMENT: ("bad_offer", 400),
    ErrorCode.UNAUTHENTICATED: ("internal", 500),
    ErrorCode.PERMISSION_DENIED: ("removed", 403),
    ErrorCode.NOT_FOUND: ("not_inside", 404),
    ErrorCode.ALREADY_EXISTS: ("internal", 500),
    ErrorCode.CONFLICT: ("internal", 500),
    ErrorCode.FAILED_PRECONDITION: ("not_now", 409),
    ErrorCode.RESOURCE_EXHAUSTED: ("full", 503),
    ErrorCode.UNAVAILABLE: ("unavailable", 503),
    ErrorCode.DEADLINE_EXCEEDED: ("unavailable", 503),
    ErrorCode.UNIMPLEMENTED: ("internal", 500),
    ErrorCode.INTERNAL: ("internal", 500),
}


@pytest.mark.parametrize("code", ErrorCode)
def test_each_code_of_the_daemon_has_an_answer(code: ErrorCode) -> None:
    said = refused(ControlError(code, "said by the daemon"))
    assert (said.code, said.status) == EXPECTED[code]
    assert "daemon" not in said.text


@pytest.mark.parametrize("limit", ["max_speakers", "speakers"])
def test_a_full_stage_is_told_from_a_full_room(limit: str) -> None:
    error = ControlError(ErrorCode.RESOURCE_EXHAUSTED, "full", detail={"limit": limit})
    assert refused(error).code == "stage_full"
