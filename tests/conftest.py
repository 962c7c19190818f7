"""What every test shares: the rule about skips.

A test that needs what the machine lacks skips with one line that says what. With REQUIRE_ALL=1 in
the environment (CI) such a skip fails the run, so that nothing can stop being tested unnoticed.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# How long an example takes is the machine's affair; a test that hangs has a limit of its own.
settings.register_profile("any_machine", deadline=None)
settings.load_profile("any_machine")

REQUIRE_ALL = os.environ.get("REQUIRE_ALL", "") not in ("", "0")
_skips: dict[str, str] = {}


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return str(report.longrepr)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note skips of single tests; an expected failure reports itself as skipped and is none."""
    if report.skipped and not hasattr(report, "wasxfail"):
        _skips[report.nodeid] = _reason(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note skips of whole modules."""
    if report.skipped:
        _skips[report.nodeid] = _reason(report)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Turn a run with skips into a failed one when everything is required."""
    if REQUIRE_ALL and _skips and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what was required and did not run."""
    if REQUIRE_ALL and _skips:
        terminalreporter.section("REQUIRE_ALL: these tests were skipped", red=True)
        for nodeid, reason in sorted(_skips.items()):
            terminalreporter.line(f"{nodeid}: {reason}")
