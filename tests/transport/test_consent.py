"""How long silence is borne."""

from __future__ import annotations

import pytest

from sfu.transport.consent import Consent


def heard_every(interval_s: float, count: int = 10) -> Consent:
    """A peer that was heard so often."""
    consent = Consent(5.0, 20.0, now=0.0)
    for beat in range(1, count + 1):
        consent.heard(beat * interval_s)
    return consent


@pytest.mark.parametrize(("interval_s", "patience_s"), [(0.02, 5.0), (2.5, 5.0), (6.0, 7.5)])
def test_patience_follows_the_peers_own_interval(interval_s: float, patience_s: float) -> None:
    consent = heard_every(interval_s)
    assert consent.suspect_at == pytest.approx(consent.heard_at + patience_s)


def test_an_outage_does_not_make_patient_for_long() -> None:
    consent = heard_every(2.5)
    consent.heard(consent.heard_at + 18.0)
    assert consent.suspect_at == pytest.approx(consent.heard_at + 7.5)
    for _ in range(5):
        consent.heard(consent.heard_at + 2.5)
    assert consent.suspect_at == pytest.approx(consent.heard_at + 5.0)


def test_older_news_changes_nothing() -> None:
    consent = heard_every(1.0)
    at = consent.heard_at
    consent.heard(at - 3.0)
    assert consent.heard_at == at
