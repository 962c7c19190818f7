"""The dashboard as JSON that Grafana imports (its model, schema version 39)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal

FILE = Path(__file__).with_name("rostrum.json")
# Grafana's grid is so wide; a row of panels is as high as this.
GRID_WIDTH = 24
HEIGHTS = {"stat": 4, "timeseries": 8}
# Whose data: chosen at the top of the page, by default the first Prometheus there is.
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}

Kind = Literal["stat", "timeseries"]


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and what its lines are called; `{{label}}` in a name is the label's value."""

    expression: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. `unit` as Grafana calls it; `alarm` colours a stat from that value on."""

    title: str
    text: str
    unit: str
    queries: Sequence[Query]
    kind: Kind = "timeseries"
    width: int = 8
    is_stacked: bool = False
    alarm: float | None = None


def dashboard(rows: Mapping[str, Sequence[Panel]]) -> dict[str, Any]:
    """The whole page: rows of panels, refreshed every 10 s."""
    return {
        "uid": "rostrum",
        "title": "Rostrum",
        "tags": ["rostrum"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables()},
        "annotations": {"list": [_restarts()]},
        "panels": list(_placed(rows)),
    }


def write(rows: Mapping[str, Sequence[Panel]]) -> str:
    """The text of the file."""
    return json.dumps(dashboard(rows), indent=1, ensure_ascii=False) + "\n"


def _variables() -> list[dict[str, Any]]:
    return [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
        {
            "name": "instance",
            "type": "query",
            "label": "Daemon",
            "datasource": _SOURCE,
            "query": {"query": "label_values(rostrum_build_info, instance)", "refId": "instance"},
            "refresh": 2,  # whenever the time range changes
            "includeAll": True,
            "allValue": ".*",
            "multi": True,
            "current": {"text": "All", "value": "$__all"},
        },
    ]


def _restarts() -> dict[str, Any]:
    """A line through all panels where a daemon began."""
    return {
        "name": "Starts",
        "datasource": _SOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": 'changes(rostrum_process_start_time_seconds{instance=~"$instance"}[1m]) > 0',
        "titleFormat": "{{instance}} started",
    }


def _placed(rows: Mapping[str, Sequence[Panel]]) -> Iterator[dict[str, Any]]:
    """Rows one below the other, panels from left to right."""
    number, y = 1, 0
    for title, panels in rows.items():
        place = {"x": 0, "y": y, "w": GRID_WIDTH, "h": 1}
        yield {"id": number, "type": "row", "title": title, "gridPos": place, "panels": []}
        number, y, x = number + 1, y + 1, 0
        height = 0
        for panel in panels:
            if x + panel.width > GRID_WIDTH:
                x, y, height = 0, y + height, 0
            height = max(height, HEIGHTS[panel.kind])
            place = {"x": x, "y": y, "w": panel.width, "h": HEIGHTS[panel.kind]}
            yield {"id": number, "gridPos": place} | _panel(panel)
            number, x = number + 1, x + panel.width
        y += height


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "targets": [
            {
                "refId": letter,
                "datasource": _SOURCE,
                "expr": query.expression,
                "legendFormat": query.name or "__auto",
            }
            for letter, query in zip(ascii_uppercase, panel.queries, strict=False)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.kind == "timeseries":
        stacking = {"mode": "normal" if panel.is_stacked else "none", "group": "A"}
        fill = 40 if panel.is_stacked else 8
        defaults["custom"] = {"fillOpacity": fill, "lineWidth": 1, "stacking": stacking}
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.alarm is not None:
        steps.append({"color": "red", "value": panel.alarm})
    return defaults | {"thresholds": {"mode": "absolute", "steps": steps}}


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        return {"colorMode": "value", "graphMode": "area", "reduceOptions": reduce}
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
