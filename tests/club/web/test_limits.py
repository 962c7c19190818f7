"""Token buckets: what is left, what comes back, and how many are kept."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from deploy.club.refusal import Refused
from deploy.club.web import limits
from deploy.club.web.limits import Limits, Rate
from tests.club.web.site import NOW


def refused(limits: Limits, key: str = "red", later_s: float = 0.0) -> Refused | None:
    """The refusal of one more, if it is refused."""
    try:
        limits.take("act", key, NOW + timedelta(seconds=later_s))
    except Refused as refusal:
        return refusal
    return None


def test_a_burst_is_granted_and_the_next_one_told_when_to_come_back() -> None:
    counted = Limits({"act": Rate(3, 30)})
    assert [refused(counted) for _ in range(3)] == [None] * 3
    refusal = refused(counted)
    assert refusal is not None
    assert (refusal.status, refusal.params) == (429, {"retry_after_s": 10})
    assert refused(counted, later_s=9.9) is not None
    assert refused(counted, later_s=10.1) is None


def test_one_person_does_not_use_up_anothers() -> None:
    counted = Limits({"act": Rate(1, 30)})
    assert refused(counted, "red") is None
    assert refused(counted, "blue") is None


def test_waiting_saves_up_no_more_than_one_burst() -> None:
    counted = Limits({"act": Rate(2, 2)})
    refused(counted)
    granted = [refused(counted, later_s=3600) is None for _ in range(3)]
    assert granted == [True, True, False]


def test_every_rate_is_that_of_something() -> None:
    club = Path(limits.__file__).parent.parent
    sources = [path.read_text() for path in club.rglob("*.py") if path.name != "limits.py"]
    for kind in limits.RATES:
        assert any(f'"{kind}"' in source for source in sources), kind


def test_a_kind_without_a_rate_is_a_bug() -> None:
    with pytest.raises(KeyError):
        Limits().take("nothing", "red", NOW)


def test_keys_beyond_the_limit_push_out_the_longest_unused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "BUCKETS_MAX", 2)
    counted = Limits({"act": Rate(1, 3600)})
    for key in ("red", "blue", "white"):
        refused(counted, key)
    assert refused(counted, "white") is not None
    assert refused(counted, "red") is None
