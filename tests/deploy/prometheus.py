"""Debian's Prometheus as a process, and what a daemon lets it see."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from tests.shell.process import DaemonProcess

DEPLOY = Path(__file__).parents[2] / "deploy"
RULE_FILES = sorted((DEPLOY / "prometheus" / "rules").glob("*.yaml"))
START_WITHIN_S = 20.0
_NAME = re.compile(r"\brostrum_[a-z0-9_]+\b")

needed = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="needs prometheus (Debian's package has promtool)",
)


def metrics_url(daemon: DaemonProcess) -> str:
    """Where it is scraped."""
    return f"http://{daemon.listening['http']}/metrics"


def exported(text: str) -> set[str]:
    """Every name of a series in what was scraped."""
    return {line.split("{")[0].split(" ")[0] for line in text.splitlines() if line[:1] != "#"}


def named(text: str) -> set[str]:
    """Every metric of ours that rules, queries or prose name."""
    return set(_NAME.findall(text))


def get_text(url: str) -> str:
    """The body; raises URLError."""
    with urlopen(url, timeout=10) as response:
        return str(response.read().decode())


class PrometheusProcess:
    """Scraping one daemon several times a second; `with` makes sure that nothing of it stays."""

    def __init__(self, folder: Path, daemon: DaemonProcess, port: int) -> None:
        config = folder / "prometheus.yaml"
        config.write_text(
            "global: {scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms}\n"
            f"rule_files: {json.dumps([str(file) for file in RULE_FILES])}\n"
            "scrape_configs:\n"
            "  - job_name: rostrum\n"
            f"    static_configs: [{{targets: ['{daemon.listening['http']}']}}]\n"
        )
        self.url = f"http://127.0.0.1:{port}"
        self._log = (folder / "prometheus.log").open("w+")
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> PrometheusProcess:
        """Wait for the first scrape: some 5 s after its start it looks whom to scrape at all."""
        until = time.monotonic() + START_WITHIN_S
        while not self._scrapes():
            if self._process.poll() is not None or time.monotonic() > until:
                self.__exit__()
                raise AssertionError(Path(self._log.name).read_text())
            time.sleep(0.1)
        return self

    def _scrapes(self) -> bool:
        try:
            return bool(self.ask("query", query="up == 1")["result"])
        except (URLError, ConnectionError):
            return False

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    def ask(self, path: str, **parameters: str | float) -> Any:
        """`data` of an answer of its HTTP interface."""
        body = json.loads(get_text(f"{self.url}/api/v1/{path}?{urlencode(parameters)}"))
        assert body["status"] == "success", body
        return body["data"]
