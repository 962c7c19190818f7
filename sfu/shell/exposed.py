"""What a daemon's metrics show of its worker, cycle and certificates, beside plain counters.

All of it is kept by those anyway, or looked up when somebody scrapes, a little in each turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sfu.shell.cycle import FORWARDING_EDGES_S, Cycle
from sfu.shell.metrics import Metrics, distribution_of
from sfu.worker.census import PEOPLE_EDGES
from sfu.worker.funnel import EDGES_S
from sfu.worker.survey import JITTER_EDGES_S, LOSS_EDGES, RTT_EDGES_S
from sfu.worker.worker import Worker

# Certificates that a daemon may have; the values of their label.
DTLS, CONTROL = "dtls", "control"


def expose_media(metrics: Metrics, worker: Worker, cycle: Cycle) -> None:
    """Joins, forwarding, rooms and lines, and whether newcomers are taken."""
    metrics.add_gauges("", lambda: {"draining": int(worker.is_draining)})
    metrics.add_distributions(
        "join_seconds",
        "Steps of joins: checks and handshake since the join, first packets since the handshake.",
        EDGES_S,
        "stage",
        lambda: {stage: distribution_of(tally) for stage, tally in worker.joins().items()},
    )
    metrics.add_distribution(
        "forwarding_seconds",
        "From when the kernel had a batch with media until all of it was sent, per batch.",
        FORWARDING_EDGES_S,
        lambda: distribution_of(cycle.forwarding),
    )
    metrics.add_distribution(
        "room_people",
        "Rooms by how many people are in them, now; rooms without anybody are left out.",
        PEOPLE_EDGES,
        lambda: distribution_of(worker.room_people),
    )
    _expose_lines(metrics, worker)


def _expose_lines(metrics: Metrics, worker: Worker) -> None:
    """What is found by a survey that each scrape begins with."""
    survey = worker.survey
    metrics.add_preparation(survey.steps)
    now = "of up to 1,000 participants by turns, now."
    metrics.add_distribution(
        "line_loss_ratio",
        f"Loss on the lines {now}",
        LOSS_EDGES,
        lambda: distribution_of(survey.loss),
    )
    metrics.add_distribution(
        "line_jitter_seconds",
        f"Jitter on the lines {now}",
        JITTER_EDGES_S,
        lambda: distribution_of(survey.jitter_s),
    )
    metrics.add_distribution(
        "line_rtt_seconds",
        f"Round trips on the lines {now}",
        RTT_EDGES_S,
        lambda: distribution_of(survey.rtt_s),
    )


def expose_certificates(
    metrics: Metrics, validity: Callable[[], Mapping[str, tuple[float, float]]]
) -> None:
    """`validity` gives from when until when each is valid, in unix seconds."""
    metrics.add_labelled_gauge(
        "certificate_not_before_seconds",
        "From when a certificate is valid, unix time.",
        "certificate",
        lambda: {one: begin for one, (begin, _) in validity().items()},
    )
    metrics.add_labelled_gauge(
        "certificate_not_after_seconds",
        "Until when a certificate is valid, unix time.",
        "certificate",
        lambda: {one: end for one, (_, end) in validity().items()},
    )
