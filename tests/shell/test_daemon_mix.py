"""Whether the daemon mixes is configured, and what it lacks for that is said at its start."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path

import pytest

from sfu.mixing import OpusError, opus
from sfu.shell.config import ConfigError, load
from sfu.shell.daemon import Daemon
from sfu.shell.loading import Loaded
from sfu.shell.log import LineWriter
from tests.shell.process import DaemonProcess


@pytest.mark.parametrize("mixes", [True, False])
def test_it_tells_of_its_mixing_where_it_mixes(mixes: bool) -> None:
    with DaemonProcess(f"media.mix={str(mixes).lower()}") as process:
        http = process.listening["http"]
        with urllib.request.urlopen(f"http://{http}/metrics") as response:
            text = response.read().decode()
    names = ("rostrum_mix_tick_seconds_count", "rostrum_mix_encoders", "rostrum_mix_late_ticks")
    assert [name in text for name in names] == [mixes] * 3
    assert "rostrum_mixes 0.0" in text


@pytest.mark.parametrize("mixes", [True, False])
def test_libraries_that_only_mixing_needs_are_loaded_only_for_it(mixes: bool) -> None:
    with DaemonProcess(f"media.mix={str(mixes).lower()}") as process:
        maps = Path(f"/proc/{process.process.pid}/maps").read_text()
    assert [name in maps for name in ("numpy", "libopus")] == [mixes] * 2


def test_no_library_of_mixing_starts_threads_for_every_core() -> None:
    """On a machine with very many they would be more than a service may have."""
    with DaemonProcess("media.mix=true") as mixing, DaemonProcess("media.mix=false") as plain:
        tasks = [
            len(list(Path(f"/proc/{daemon.process.pid}/task").iterdir()))
            for daemon in (mixing, plain)
        ]
    assert tasks[0] <= tasks[1] + 1, "the mixing thread"


async def test_without_libopus_it_says_so_and_leaves_no_port_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def library() -> None:
        raise OpusError("no libopus in /nowhere")

    monkeypatch.setattr(opus, "library", library)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    overrides = [f"media.listen=127.0.0.1:{port}"]
    loaded = Loaded(load(overrides=overrides), (), None)
    writer = LineWriter(2)
    with pytest.raises(ConfigError) as caught:
        Daemon(loaded, lambda: loaded, "0", writer)
    assert str(caught.value) == "media.mix: no libopus in /nowhere"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", port))
    off = Loaded(load(overrides=[*overrides, "media.mix=false"]), (), None)
    Daemon(off, lambda: off, "0", writer)._port.close()
    writer.close(1.0)
