"""Calendar files: what RFC 5545 asks of them, whatever a topic holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.club.hall.icalendar import Appointment, calendar, escape, fold

NOW = datetime(2030, 5, 1, 20, 0, tzinfo=UTC)


def appointment(**changes: object) -> Appointment:
    facts: dict[str, object] = {
        "uid": "r-abc@club.example",
        "start": NOW + timedelta(days=1),
        "summary": "Bees, and how they sleep",
        "description": "First line\nsecond; with more",
        "url": "https://club.example/rooms/r-abc",
        "alarm_before": timedelta(minutes=10),
    }
    return Appointment(**(facts | changes))  # type: ignore[arg-type]


def unfolded(data: bytes) -> list[str]:
    """What a calendar reads."""
    return data.decode().replace("\r\n ", "").split("\r\n")


def unescaped(text: str) -> str:
    out, rest = "", iter(text)
    for c in rest:
        if c == "\\":
            following = next(rest)
            out += "\n" if following in "nN" else following
        else:
            out += c
    return out


def test_the_whole_file() -> None:
    assert unfolded(calendar(appointment(), NOW)) == [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Rostrum//Club//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        "BEGIN:VEVENT",
        "UID:r-abc@club.example",
        "DTSTAMP:20300501T200000Z",
        "DTSTART:20300502T200000Z",
        "DTEND:20300502T210000Z",
        "SUMMARY:Bees\\, and how they sleep",
        "DESCRIPTION:First line\\nsecond\\; with more",
        "URL:https://club.example/rooms/r-abc",
        "STATUS:CONFIRMED",
        "SEQUENCE:0",
        "BEGIN:VALARM",
        "ACTION:DISPLAY",
        "DESCRIPTION:Bees\\, and how they sleep",
        "TRIGGER:-PT10M",
        "END:VALARM",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]


def test_a_cancelled_room_is_told_as_such_and_rings_no_more() -> None:
    lines = unfolded(calendar(appointment(is_cancelled=True), NOW))
    assert "STATUS:CANCELLED" in lines
    assert "SEQUENCE:1" in lines
    assert "BEGIN:VALARM" not in lines


def test_times_of_other_zones_are_told_in_utc() -> None:
    start = datetime(2030, 5, 2, 1, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert "DTSTART:20300501T200000Z" in unfolded(calendar(appointment(start=start), NOW))


def test_nothing_empty_is_told() -> None:
    lines = unfolded(calendar(appointment(description=""), NOW))
    assert lines.count("DESCRIPTION:") == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\\b", "a\\\\b"),
        ("a\r\nb\rc\nd", "a\\nb\\nc\\nd"),
        ("a;b,c:d", "a\\;b\\,c:d"),
        ("a\x00\x1b\x7fb", "ab"),
    ],
)
def test_text_is_escaped(text: str, expected: str) -> None:
    assert escape(text) == expected


@given(st.text())
def test_no_topic_makes_a_line_too_long_breaks_a_character_or_adds_a_line(topic: str) -> None:
    data = calendar(appointment(summary=topic, description=""), NOW)
    assert data.endswith(b"\r\n")
    assert all(len(line) <= 75 for line in data.split(b"\r\n"))
    for line in data.split(b"\r\n"):
        line.decode()
    lines = unfolded(data)
    assert len(lines) == 22
    told = "".join(c for c in topic.replace("\r\n", "\n").replace("\r", "\n"))
    told = "".join(c for c in told if c == "\n" or (c >= " " and c != "\x7f"))
    assert unescaped(lines[10].removeprefix("SUMMARY:")) == told


def test_lines_of_75_octets_stay_whole() -> None:
    assert fold("x" * 75) == "x" * 75 + "\r\n"
    assert fold("x" * 76) == "x" * 75 + "\r\n x\r\n"
    assert fold("x" * 74 + "ü") == "x" * 74 + "\r\n ü\r\n"
