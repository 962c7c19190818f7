"""A planned room as a calendar file (RFC 5545), with an alarm when reminders are sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# Octets of a line without its end (RFC 5545, 3.1).
LINE_OCTETS_MAX = 75
# A conversation has no end that anybody knows; calendars want one.
SUPPOSED_LENGTH = timedelta(hours=1)
PRODUCT = "-//Rostrum//Club//EN"
MEDIA_TYPE = "text/calendar"


@dataclass(frozen=True, slots=True)
class Appointment:
    """What a calendar is told of a room. Times are aware."""

    uid: str  # the same for every version of the file; globally unique (RFC 5545, 3.8.4.7)
    start: datetime
    summary: str
    description: str
    url: str
    alarm_before: timedelta
    is_cancelled: bool = False


def calendar(appointment: Appointment, now: datetime) -> bytes:
    """The file, in UTF-8 with CRLF line ends; `now` is its DTSTAMP."""
    start = appointment.start
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:{PRODUCT}",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        "BEGIN:VEVENT",
        f"UID:{escape(appointment.uid)}",
        f"DTSTAMP:{utc(now)}",
        f"DTSTART:{utc(start)}",
        f"DTEND:{utc(start + SUPPOSED_LENGTH)}",
        f"SUMMARY:{escape(appointment.summary)}",
        *([f"DESCRIPTION:{escape(appointment.description)}"] if appointment.description else []),
        f"URL:{appointment.url}",
        f"STATUS:{'CANCELLED' if appointment.is_cancelled else 'CONFIRMED'}",
        f"SEQUENCE:{int(appointment.is_cancelled)}",
        *([] if appointment.is_cancelled else _alarm(appointment)),
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return "".join(fold(line) for line in lines).encode()


def _alarm(appointment: Appointment) -> list[str]:
    minutes = int(appointment.alarm_before / timedelta(minutes=1))
    return [
        "BEGIN:VALARM",
        "ACTION:DISPLAY",
        f"DESCRIPTION:{escape(appointment.summary)}",
        f"TRIGGER:-PT{minutes}M",
        "END:VALARM",
    ]


def utc(moment: datetime) -> str:
    """DATE-TIME in form 2, UTC (RFC 5545, 3.3.5)."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def escape(text: str) -> str:
    """A value of type TEXT (RFC 5545, 3.3.11); control characters, which it cannot hold, go."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")
    return "".join(c for c in text if c >= " " and c != "\x7f")


def fold(line: str) -> str:
    """`line` with its end, cut into pieces of at most LINE_OCTETS_MAX octets without breaking a
    character (RFC 5545, 3.1).
    """
    pieces: list[str] = []
    piece, octets = "", 0
    for character in line:
        size = len(character.encode())
        if octets + size > LINE_OCTETS_MAX:
            pieces.append(piece)
            piece, octets = "", 1  # the space that begins a continued line
        piece += character
        octets += size
    return "\r\n ".join([*pieces, piece]) + "\r\n"
