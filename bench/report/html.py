"""The report as one page: nothing is fetched, nothing runs, everything from outside is escaped.

Names of targets, rooms, options and errors come from command lines and servers; all of them pass
`escape` here or in `svg.py` before they enter markup. A content security policy forbids the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bench.figures import in_order, number
from bench.report import charts
from bench.report.document import Report, titles, told
from bench.report.style import SHEET
from bench.report.summary import (
    figure_rows,
    load_line,
    machine_line,
    names_with_version,
    notes,
    verdict_line,
)
from bench.results import Run

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_DISTRIBUTIONS = (
    ("gap", "Gaps between packets", "extra gap"),
    ("delay", "Added delay", "added delay"),
    ("listener_worst_gap", "Worst gap of each listener", "worst gap"),
    ("lateness", "How late the load tester itself sent", "lateness"),
)


def page(report: Report) -> str:
    """The whole document."""
    runs = [told(run) for run in report.runs]
    heading = " against ".join(dict.fromkeys(run.target for run in runs))
    body = "".join(
        (
            _header(heading, runs[0]),
            *(
                _verdict(name, run)
                for name, run in zip(names_with_version(runs), runs, strict=True)
            ),
            _thresholds(report),
            _figures(runs),
            _time_plots(runs),
            _joins(runs),
            *(_distribution(runs, *one) for one in _DISTRIBUTIONS),
            _watched(runs),
            _origin(runs),
        )
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(heading)}: {escape(runs[0].meta.load)}</title>"
        f"<style>{SHEET}</style></head><body><main>{body}</main></body></html>\n"
    )


def _header(heading: str, first: Run) -> str:
    return (
        f"<header><h1>{escape(heading)}</h1><p>{escape(load_line(first))}</p>"
        f'<p class="soft">{escape(machine_line(first.meta))}; {escape(first.meta.started_at)}</p>'
        "</header>"
    )


def _verdict(title: str, run: Run) -> str:
    kind = "verdict" if run.verdict.trustworthy else "verdict bad"
    words = f"<b>{escape(title)}</b> {escape(verdict_line(run))}"
    return f'<p class="{kind}">{words}</p>'


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _card(content: str) -> str:
    return f'<div class="card"><div class="scroll">{content}</div></div>'


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """`heads` are text; the cells of `rows` are markup already."""
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in heads)
    lines = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in others)}</tr>'
        for first, *others in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def _marked(words: str, is_good: bool) -> str:
    return f'<span class="{"good" if is_good else "bad"}">{escape(words)}</span>'


def _thresholds(report: Report) -> str:
    if not report.thresholds or not report.is_trustworthy:
        return ""
    lines = "".join(f"<p>{_marked(str(one), not one.missed)}</p>" for one in report.thresholds)
    return _section("Thresholds", f'<div class="card">{lines}</div>')


def _figures(runs: Sequence[Run]) -> str:
    names = titles(runs)
    rows = [
        [
            escape(label),
            *map(escape, values),
            *(_marked(ratio, float(ratio[:-1]) >= 1) if ratio else "" for ratio in ratios),
        ]
        for label, values, ratios in figure_rows(
            runs, in_order(name for run in runs for name in run.figures)
        )
    ]
    if not rows:
        return ""
    heads = ["", *names, *(f"ahead of {name}" for name in names[1:])]
    if len(runs) > 1:
        return _section("Figures", _card(_table(heads, rows)))
    middle = (len(rows) + 1) // 2
    halves = [_card(_table(heads, half)) for half in (rows[:middle], rows[middle:]) if half]
    return _section("Figures", f'<div class="panels">{"".join(halves)}</div>')


def _panels(named: Sequence[tuple[str, str]]) -> str:
    """(heading, plot) side by side where there is room; plots that are empty are left out."""
    shown = [
        f'<div class="card"><h3>{escape(title)}</h3>{plot}</div>' for title, plot in named if plot
    ]
    return f'<div class="panels">{"".join(shown)}</div>' if shown else ""


def _time_plots(runs: Sequence[Run]) -> str:
    timed = [
        (title, run) for title, run in zip(titles(runs), runs, strict=True) if run.series.seconds
    ]
    if not timed:
        return ""
    names, shown = [title for title, _ in timed], [run for _, run in timed]
    plots = [
        (
            "Server CPU per forwarded packet",
            charts.overlay(shown, names, "cpu_us_per_packet", "CPU per packet, µs", unit="µs"),
        ),
        ("Packets lost in each second", charts.losses(shown, names)),
        (
            "Server CPU",
            charts.overlay(shown, names, "server_cpu_percent", "of one core, %", unit="%"),
        ),
        (
            "Clients connected",
            charts.overlay(shown, names, "connected", "clients", unit="clients"),
        ),
        (
            "Commands",
            charts.overlay(shown, names, "commands_per_s", "commands per s", unit="/s"),
        ),
    ]
    has_delay = any(
        value is not None for run in shown for value in run.series.column("delay_p50_ms")
    )
    delays = list(zip(names, charts.delays(shown), strict=True)) if has_delay else []
    return _section("Added delay over time", _panels(delays)) + _section(
        "Over time", _panels(plots)
    )


def _joins(runs: Sequence[Run]) -> str:
    joined = [
        (title, run) for title, run in zip(titles(runs), runs, strict=True) if run.joins.stages
    ]
    plots = charts.join_stages([run for _, run in joined])
    headings = [f"{title}: {_join_words(run)}" for title, run in joined]
    failures = "".join(
        f'<p class="bad">{escape(f"{title}: {count} x {why}")}</p>'
        for title, run in zip(titles(runs), runs, strict=True)
        for why, count in run.joins.failures.items()
    )
    return _section("Join stages", failures + _panels(list(zip(headings, plots, strict=True))))


def _join_words(run: Run) -> str:
    joins = run.joins
    rate = "" if joins.joins_per_s is None else f", {number(joins.joins_per_s)} joins/s"
    return f"{joins.connected} of {joins.attempted} connected{rate}"


def _distribution(runs: Sequence[Run], name: str, title: str, label: str) -> str:
    plots = charts.histograms([run.distributions.get(name) for run in runs], label)
    return _section(title, _panels(list(zip(titles(runs), plots, strict=True))))


def _watched(runs: Sequence[Run]) -> str:
    """What the load tester saw of itself; told even when nothing else is."""
    rows = [
        [
            escape(f"{title}: {limit.name}" if len(runs) > 1 else limit.name),
            _marked(f"{number(limit.value)} {limit.unit}".rstrip(), limit.is_kept),
            escape(f"{limit.limit:g} {limit.unit}".rstrip()),
        ]
        for title, run in zip(titles(runs), runs, strict=True)
        for limit in run.verdict.watched
    ]
    table = _card(_table(["", "was", "may be"], rows)) if rows else ""
    return _section("What the load tester watched in itself", table)


def _origin(runs: Sequence[Run]) -> str:
    commands = dict.fromkeys(run.meta.command for run in runs)
    content = "".join(f"<p>{escape(note)}</p>" for note in notes(runs))
    content += f"<pre>{escape(chr(10).join(commands))}</pre>"
    return _section("How it was measured", f'<div class="card">{content}</div>')
