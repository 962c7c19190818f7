"""What the metrics of a daemon show when people have come, spoken and listened."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from bench.options import LoadOptions
from sfu.shell.metrics import LABELS
from sfu.worker.funnel import Stage
from tests.shell.process import DaemonProcess
from tests.shell.small_load import load
from tests.shell.test_serve import get

SPEAKERS, LISTENERS = 3, 6
LOAD = LoadOptions("room", listeners=LISTENERS, duration_s=4.0, join_rate=50.0)


@pytest.fixture(scope="module")
def samples() -> Iterator[list[Sample]]:
    """Every series after the load."""
    with DaemonProcess() as daemon:
        load(daemon, LOAD)
        text = get(daemon, "/metrics")[1]
        families = text_string_to_metric_families(text)
        yield [sample for family in families for sample in family.samples]


def value(samples: list[Sample], name: str, **labels: str) -> float:
    """Of the one series of this name and labels."""
    (found,) = [one.value for one in samples if (one.name, one.labels) == (name, labels)]
    return float(found)


def test_labels_are_of_the_list_and_series_below_a_thousand(samples: list[Sample]) -> None:
    assert {label for sample in samples for label in sample.labels} <= LABELS
    assert len(samples) < 1_000


def test_the_funnel_tells_how_far_all_have_come(samples: list[Sample]) -> None:
    everybody = SPEAKERS + LISTENERS
    reached = {
        stage: value(samples, "rostrum_join_seconds_count", stage=stage.value) for stage in Stage
    }
    assert value(samples, "rostrum_joins_total") == everybody
    assert reached[Stage.STUN_OK] == reached[Stage.DTLS_OK] == everybody
    assert reached[Stage.FIRST_RTP_IN] == SPEAKERS
    assert reached[Stage.FIRST_RTP_OUT] >= LISTENERS


def test_batches_with_media_are_timed_and_none_takes_a_second(samples: list[Sample]) -> None:
    batches = value(samples, "rostrum_forwarding_seconds_count")
    assert 0 < batches <= value(samples, "rostrum_received_total")
    assert 0 < value(samples, "rostrum_forwarding_seconds_sum") < batches
