"""Transport-wide feedback as the draft has it (3.1): read bit by bit, and written as clients do."""

from __future__ import annotations

from collections.abc import Sequence

TICKS_PER_REFERENCE = 256  # 64 ms of 250 us
PACKETS_MAX = 8_192
REST_MAX = 3


def parse_told(feedback: bytes) -> list[tuple[int, int | None]] | None:
    """(number, arrival in ticks of 250 us or None) of each packet; None when it is malformed."""
    if len(feedback) < 8:
        return None
    base, count = int.from_bytes(feedback[:2], "big"), int.from_bytes(feedback[2:4], "big")
    if not 1 <= count <= PACKETS_MAX:
        return None
    statuses: list[int] = []
    at = 8
    while len(statuses) < count:
        if at + 2 > len(feedback):
            return None
        told = _chunk(f"{int.from_bytes(feedback[at : at + 2], 'big'):016b}")
        if not told:
            return None
        statuses += told
        at += 2
    statuses = statuses[:count]
    if 3 in statuses:
        return None
    return _arrivals(base, feedback, at, statuses)


def _chunk(bits: str) -> list[int]:
    """The statuses of one chunk, the last of which may be beyond the count."""
    if bits[0] == "0":
        return [int(bits[1:3], 2)] * int(bits[3:], 2)
    width = 1 if bits[1] == "0" else 2
    return [int(bits[at : at + width], 2) for at in range(2, 16, width)]


def _arrivals(
    base: int, feedback: bytes, at: int, statuses: list[int]
) -> list[tuple[int, int | None]] | None:
    ticks = int.from_bytes(feedback[4:7], "big") * TICKS_PER_REFERENCE
    told: list[tuple[int, int | None]] = []
    for place, status in enumerate(statuses):
        delta = feedback[at : at + status]
        if len(delta) < status:
            return None
        at += status
        ticks += int.from_bytes(delta, "big", signed=status == 2)
        told.append(((base + place) % 2**16, ticks if status else None))
    return told if len(feedback) - at <= REST_MAX else None


def build_told(
    base: int, arrivals: Sequence[int | None], *, reference: int | None = None, form: str = "two"
) -> bytes:
    """Feedback of what came when (ticks of 250 us), with chunks of one form: `one`, `two`, `run`.

    `one` has only arrivals within 63.75 ms of each other.
    """
    first = next((ticks for ticks in arrivals if ticks is not None), 0)
    reference = first // TICKS_PER_REFERENCE if reference is None else reference
    statuses, deltas, ticks = [], b"", reference * TICKS_PER_REFERENCE
    for arrival in arrivals:
        if arrival is None:
            statuses.append(0)
            continue
        delta, ticks = arrival - ticks, arrival
        statuses.append(1 if 0 <= delta <= 255 else 2)
        deltas += delta.to_bytes(statuses[-1], "big", signed=statuses[-1] == 2)
    header = base.to_bytes(2, "big") + len(arrivals).to_bytes(2, "big")
    header += (reference % 2**24).to_bytes(3, "big") + b"\x07"
    body = header + _chunks(statuses, form) + deltas
    return body + bytes(-len(body) % 4)


def _chunks(statuses: list[int], form: str) -> bytes:
    if form == "run":
        runs: list[list[int]] = []
        for status in statuses:
            if runs and runs[-1][0] == status:
                runs[-1][1] += 1
            else:
                runs.append([status, 1])
        return b"".join((status << 13 | length).to_bytes(2, "big") for status, length in runs)
    width, held = (1, 14) if form == "one" else (2, 7)
    chunks = b""
    for at in range(0, len(statuses), held):
        part = statuses[at : at + held]
        bits = "".join(f"{status:0{width}b}" for status in part).ljust(14, "0")
        chunks += int(("10" if width == 1 else "11") + bits, 2).to_bytes(2, "big")
    return chunks
