"""What publishers lose on their way is no fault of a listener's line, repaired or not."""

from __future__ import annotations

import pytest

from tests.listening.line_model import LineModel, one_talks


@pytest.mark.parametrize("takes_feedback", [True, False])
def test_what_publishers_and_reports_lose_changes_nothing(*, takes_feedback: bool) -> None:
    model = LineModel(None, source_loss=0.1, report_loss=0.1, takes_feedback=takes_feedback)
    model.run(300.0)
    assert not model.changes
    assert model.line.copies == 0


@pytest.mark.parametrize("takes_feedback", [True, False])
@pytest.mark.parametrize("latency_s", [0.005, 0.05, 0.3])
@pytest.mark.parametrize("source_late", [0.1, 0.25])
def test_what_publishers_send_again_changes_nothing(
    source_late: float, latency_s: float, *, takes_feedback: bool
) -> None:
    """It comes late under its own number, and is on its way while a report is made."""
    model = LineModel(
        None,
        talk=one_talks,
        source_late=source_late,
        latency_s=latency_s,
        takes_feedback=takes_feedback,
    )
    for _ in range(300):
        model.run(1.0)
        assert model.line.copies == 0
    assert not model.changes
