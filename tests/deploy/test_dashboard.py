"""The dashboard: every panel shows something of a daemon that a real Prometheus scrapes."""

from __future__ import annotations

import json
import math
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bench.options import LoadOptions
from deploy.grafana.dashboard import FILE, GRID_WIDTH, write
from deploy.grafana.panels import ROWS
from tests.deploy import prometheus
from tests.deploy.prometheus import RULE_FILES, PrometheusProcess
from tests.shell.process import DaemonProcess
from tests.shell.small_load import load

PANELS = [panel for row in ROWS.values() for panel in row]
LISTENERS = 8
# Half of the listeners get what a line of 20 kbit/s carries: a mix.
LOAD = LoadOptions(
    "room", listeners=LISTENERS, duration_s=4.0, join_rate=50.0, m_lines=4, max_kbps="0,20"
)
# Rates over 2 s, which hold eight scrapes.
FILLED_IN = {"$__rate_interval": "2s", "$instance": ".*"}
STEP_S = 0.5
# A metric with labels that a rule looks for.
SELECTOR = re.compile(r"rostrum_\w+\{[^}]+\}")


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


class Seen:
    """What was scraped while the load ran."""

    def __init__(self, source: PrometheusProcess, since: float, until: float) -> None:
        self._source, self._since, self._until = source, since, until

    def values(self, expression: str) -> dict[str, list[float]]:
        """The points of every series of a panel's query, by its labels."""
        for name, value in FILLED_IN.items():
            expression = expression.replace(name, value)
        data = self._source.ask(
            "query_range", query=expression, start=self._since, end=self._until, step=STEP_S
        )
        return {
            ",".join(series["metric"].values()): [float(value) for _, value in series["values"]]
            for series in data["result"]
        }


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """A daemon, a Prometheus that scrapes it, and a load, which is over."""
    folder = tmp_path_factory.mktemp("prometheus")
    with DaemonProcess() as daemon, PrometheusProcess(folder, daemon, free_port()) as source:
        since = time.time()
        load(daemon, LOAD)
        yield Seen(source, since, time.time())


def test_the_file_is_what_the_panels_say() -> None:
    assert FILE.read_text() == write(ROWS), "run `python -m deploy.grafana`"


def test_no_panel_lies_upon_another_or_beyond_the_page() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(FILE.read_text())["panels"]:
        place: dict[str, Any] = panel["gridPos"]
        assert place["x"] + place["w"] <= GRID_WIDTH
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not taken & cells
        taken |= cells


@prometheus.needed
@pytest.mark.slow
@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_every_query_has_data(seen: Seen, panel: Any) -> None:
    for query in panel.queries:
        points = [value for series in seen.values(query.expression).values() for value in series]
        assert any(math.isfinite(value) for value in points), query.expression


@prometheus.needed
@pytest.mark.slow
def test_panels_show_the_load_that_there_was(seen: Seen) -> None:
    assert max(seen.values(expression("Participants by role"))["listener"]) == LISTENERS
    tiers = seen.values(expression("Listeners by tier"))
    assert sum(max(points) for tier, points in tiers.items() if tier[0] in "BC") >= LISTENERS / 2
    (forwarded,) = seen.values(expression("Packets", "forwarded sound")).values()
    # Three voices or one mix, 50 packets a second each, for four listeners each.
    assert max(forwarded) > 50 * LISTENERS


@prometheus.needed
@pytest.mark.slow
def test_rules_pick_series_that_there_are(seen: Seen) -> None:
    selectors = SELECTOR.findall("".join(file.read_text() for file in RULE_FILES))
    assert len(selectors) > 5
    assert [selector for selector in selectors if not seen.values(selector)] == []


@prometheus.needed
@pytest.mark.slow
def test_a_calm_daemon_raises_no_alert(seen: Seen) -> None:
    assert seen.values('ALERTS{alertstate="firing"}') == {}


def expression(title: str, name: str = "") -> str:
    """Of the panel's line of that name, or of its first."""
    (panel,) = (one for one in PANELS if one.title == title)
    return next(query.expression for query in panel.queries if name in ("", query.name))


def test_every_metric_that_panels_name_is_exported() -> None:
    with DaemonProcess() as daemon:
        exported = prometheus.exported(prometheus.get_text(prometheus.metrics_url(daemon)))
    assert prometheus.named(FILE.read_text()) <= exported
