"""Codes go to the log by default; only development shows them on a page."""

from __future__ import annotations

from structlog.testing import capture_logs

from deploy.club.door.sender import SHOWN_MAX, LogSender


async def test_the_log_gets_the_code_and_only_the_end_of_the_number() -> None:
    with capture_logs() as lines:
        await LogSender().send("+4915120000001", "123456", "de")
    assert lines == [
        {"event": "login_code", "log_level": "info", "code": "123456", "number_ends": "0001"}
    ]


async def test_only_development_shows_a_code_and_only_the_latest_of_its_number() -> None:
    plain, developing = LogSender(), LogSender(is_development=True)
    for sender in (plain, developing):
        await sender.send("+4915120000001", "111111", "en")
        await sender.send("+4915120000001", "222222", "en")
    assert plain.shown("+4915120000001") is None
    assert developing.shown("+4915120000001") == "222222"
    assert developing.shown("+4915120000002") is None


async def test_what_development_shows_is_bounded() -> None:
    sender = LogSender(is_development=True)
    for number in range(SHOWN_MAX + 1):
        await sender.send(f"+49151{number}", "111111", "en")
    assert sender.shown("+491510") is None
    assert sender.shown("+491511") == "111111"
