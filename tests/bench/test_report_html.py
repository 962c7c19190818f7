"""The page stands alone, escapes everything, and plots what the runs hold."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from bench.report.document import Report
from bench.report.html import page
from bench.report.svg import Axis, Line, axis_for, log_axis, polyline, tick_text
from bench.results import Histogram, Joins, Limit, Run, Second, Series, Stage, Verdict
from bench.thresholds import Outcome
from tests.bench.runs import KEPT_UP, TOO_SLOW, make_run, with_meta

HOSTILE = "<img src=x onerror=alert(1)>\"'&</style><script>x</script>"
VOID = {"meta", "br", "img", "link", "input"}


class Reader(HTMLParser):
    """Checks that elements nest, and collects them with their attributes and text."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.setdefault(self.open[-1], []).append(data)

    def count(self, tag: str, style: str = "") -> int:
        """Elements of that name, with that class if given."""
        return sum(
            1
            for name, attributes in self.elements
            if name == tag and style in (attributes.get("class") or "").split() + [""]
        )


def test_the_page_fetches_and_runs_nothing() -> None:
    """No address, script, event handler or import; a policy forbids the rest."""
    markup = page(Report((make_run(), make_run("janus", scale=3.0))))
    reader = Reader(markup)
    assert {"script", "link", "img", "iframe", "object", "image", "use"}.isdisjoint(
        tag for tag, _ in reader.elements
    )
    names = {name for _, attributes in reader.elements for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in ("href", "src", "style")}
    assert re.search(r"https?:|url\(|@import|//", markup) is None
    assert "default-src 'none'" in markup


def hostile_run() -> Run:
    """Everything that comes from outside is markup."""
    run = with_meta(
        make_run(HOSTILE),
        load=HOSTILE,
        command=HOSTILE,
        commit=HOSTILE[:10],
        version=HOSTILE,
        machine=HOSTILE,
        kernel=HOSTILE,
        started_at=HOSTILE,
        notes=(HOSTILE,),
    )
    return replace(
        run,
        figures={HOSTILE: 1.0},
        options={"talk": HOSTILE, "listeners": HOSTILE},
        joins=Joins(1, 0, 1, {HOSTILE: 1}, (Stage(HOSTILE, 1, 1.0, 1.0, 1.0, 1.0),)),
        distributions={"gap": Histogram(HOSTILE, [1.0, 2.0], [1, 2, 3])},
        verdict=Verdict(True, (), (Limit(HOSTILE, 1.0, 2.0, HOSTILE),)),
    )


@pytest.mark.parametrize("trustworthy", [True, False])
def test_names_from_outside_are_escaped(trustworthy: bool) -> None:
    """Wherever they come from: the same elements and attributes as with harmless names."""
    hostile = hostile_run()
    if not trustworthy:
        hostile.verdict = Verdict(False, (HOSTILE,))
    report = Report((hostile, hostile), (Outcome(HOSTILE, HOSTILE, 1.0, True),))
    reader = Reader(page(report))
    assert {"script", "img"}.isdisjoint(tag for tag, _ in reader.elements)
    assert not [name for _, attrs in reader.elements for name in attrs if name.startswith("on")]
    assert reader.count("style") == 1
    assert any(HOSTILE in text for texts in reader.texts.values() for text in texts)


def test_every_plot_is_there_with_labelled_axes() -> None:
    """Units on both axes, one panel a target where there are several series."""
    reader = Reader(page(Report((make_run(), make_run("janus", scale=3.0)))))
    labels = [attributes["aria-label"] for tag, attributes in reader.elements if tag == "svg"]
    assert labels.count("added delay over time") == 2
    assert labels.count("CPU per packet, µs") == 1
    assert labels.count("packets lost over time") == 1
    assert labels.count("join stages") == 2
    assert labels.count("extra gap, distribution") == 2
    words = reader.texts["text"]
    for axis in ("time, s", "added delay, ms", "CPU per packet, µs", "time, ms", "extra gap, ms"):
        assert axis in words


def test_values_are_told_on_hover() -> None:
    """By plain title elements: time, series, value, unit."""
    titles = Reader(page(Report((make_run(),)))).texts["title"]
    assert "7 s\np50: 0.120 ms\np99: 0.900 ms\np99.9: 2 ms" in titles
    assert "7 s\nrostrum: 3.50 µs" in titles
    assert "-5 s\nnothing measured" in titles
    assert "0.200 to 0.500 ms\n40 %, 400 values" in titles
    assert "dtls, p99: 14 ms\n203 joins" in titles


def test_targets_are_compared_in_one_table() -> None:
    """With the same ratios as in the summary."""
    reader = Reader(page(Report((make_run(), make_run("janus", scale=3.0)))))
    assert "ahead of janus" in reader.texts["th"]
    assert reader.texts["span"].count("3.00x") == 4
    assert "10.5 µs" in reader.texts["td"]


def test_an_untrustworthy_run_shows_only_its_bottleneck() -> None:
    """No table of figures and no plot, but what the load tester saw of itself."""
    markup = page(Report((make_run(verdict=TOO_SLOW),)))
    reader = Reader(markup)
    assert reader.count("svg") == 0
    assert "loop lag p99 was 31 ms" in markup
    assert "Figures" not in reader.texts["h2"]
    assert reader.count("p", "bad") == 1
    beside = Reader(page(Report((make_run(), make_run("janus", verdict=TOO_SLOW)))))
    labels = [attributes["aria-label"] for tag, attributes in beside.elements if tag == "svg"]
    assert labels.count("added delay over time") == 1


def test_lost_packets_are_bars_and_their_absence_is_said() -> None:
    """An empty plot could also mean that nothing was measured."""
    calm = make_run()
    assert "no packet was lost" in page(Report((calm,)))
    seconds = list(calm.series.seconds)
    seconds[10] = replace(seconds[10], lost=7)
    markup = page(Report((replace(calm, series=Series(seconds)),)))
    assert "no packet was lost" not in markup
    assert "5 s\nrostrum: 7 packets lost" in markup


def test_hours_are_thinned_out_without_hiding_a_spike() -> None:
    """The worst percentile and all lost packets of the seconds that share a column stay."""
    seconds = [Second(float(at), 100, 0, 15_000.0, 0, 0.1, 0.2, 0.3) for at in range(7_200)]
    seconds[4_711] = replace(seconds[4_711], delay_p999_ms=77.0, lost=3)
    markup = page(Report((replace(make_run(), series=Series(seconds)),)))
    assert "p99.9: 77 ms" in markup
    assert "3 packets lost" in markup
    assert len(markup) < 300_000


def test_a_run_with_nothing_measured_makes_a_page() -> None:
    """A load of commands alone has no media, and one second is a run."""
    empty = replace(
        make_run(),
        figures={"commands_per_s": 9_000.0},
        series=Series([Second(0.0, 0, 0, 0.0, 0, commands_per_s=9_000.0)]),
        joins=Joins(0, 0, 0, {}, ()),
        distributions={"gap": Histogram("ms", [1.0], [0, 0])},
        verdict=KEPT_UP,
    )
    reader = Reader(page(Report((empty,))))
    labels = [attributes["aria-label"] for tag, attributes in reader.elements if tag == "svg"]
    assert "commands per s" in labels
    assert "added delay over time" not in labels
    Reader(page(Report((replace(empty, series=Series(), figures={}),))))


def test_values_beyond_the_histogram_stay_on_the_plot() -> None:
    """Infinity has no place on an axis, but its line must not leave the plot."""
    run = make_run()
    seconds = [replace(second, delay_p999_ms=math.inf) for second in run.series.seconds]
    run = replace(run, series=Series(seconds))
    run.distributions["gap"] = Histogram("ms", [1.0, 2.0], [0, 0, 5])
    markup = page(Report((run,)))
    assert "p99.9: ∞ ms" in markup
    assert "2 and more ms" in markup
    Reader(markup)
    assert "inf" not in re.sub(r"<title>.*?</title>", "", markup, flags=re.S).replace("info", "")
    assert "nan" not in markup


def test_fine_buckets_share_a_bar() -> None:
    """A bar each would be a comb; no value is lost by it."""
    edges = [0.001 * 1.01**index for index in range(1_000)]
    counts = [index % 7 for index in range(1_001)]
    run = make_run()
    run.distributions["gap"] = Histogram("ms", edges, counts)
    titles = Reader(page(Report((run,)))).texts["title"]
    told = [re.search(r"%, (\d+) values", title) for title in titles]
    values = [int(found[1]) for found in told if found]
    assert 20 < len(values) < 80
    assert sum(values) == sum(counts)


# Axes


def test_axes_end_at_round_numbers() -> None:
    """And hold every value."""
    assert axis_for([0.2, 3.4]) == Axis(0.0, 4.0)
    assert axis_for([]) == Axis(0.0, 1.0)
    assert axis_for([0.0]) == Axis(0.0, 1.0)
    assert axis_for([0.13, 30.0], may_be_log=True) == Axis(0.1, 50.0, is_log=True)
    assert axis_for([10.0, 30.0], may_be_log=True) == Axis(0.0, 30.0)


def test_ticks_are_round_and_within() -> None:
    """Linear, across zero, and logarithmic."""
    assert Axis(0.0, 4.0).ticks() == [0, 1, 2, 3, 4]
    assert Axis(-8.0, 29.0).ticks() == [0, 10, 20]
    assert Axis(0.1, 50.0, is_log=True).ticks() == pytest.approx([0.1, 1, 10])
    assert log_axis(0.5, 4.0).ticks() == pytest.approx([0.5, 1, 2, 5])


@pytest.mark.parametrize(
    ("value", "told"),
    [(0, "0"), (0.5, "0.5"), (1_500, "1500"), (15_000, "15k"), (2e6, "2M"), (0.001, "0.001")],
)
def test_ticks_are_short(value: float, told: str) -> None:
    """They must fit left of the axis."""
    assert tick_text(value) == told


def test_a_line_has_holes_where_nothing_was_measured() -> None:
    """Two values make a stretch, a lone one a dot."""
    values = [1.0, 2.0, None, 3.0, None, 4.0, 5.0]
    line = Line("x", values, "s0")
    markup = polyline(line, range(7), Axis(0, 6), Axis(0, 5))
    assert markup.count("M") == 2
    assert markup.count("<circle") == 1
